/** EC2's errors in AWS's words. */
import { AwsError } from "../../core/aws-error.ts";

export const invalidValue = (message: string): AwsError => new AwsError("InvalidParameterValue", message);
export const missingParameter = (name: string): AwsError => new AwsError("MissingParameter", `The request must contain the parameter ${name}`);
export const badCombination = (message: string): AwsError => new AwsError("InvalidParameterCombination", message);
export const groupNotFound = (group: string): AwsError => new AwsError("InvalidGroup.NotFound", `The security group '${group}' does not exist`);

interface Kind {
  readonly prefix: string;
  /** Before `.NotFound` and `.Malformed`. */
  readonly notFound: string;
  readonly malformed: string;
  readonly words: string;
}

/** Resources that are named by ids: what their ids look like, and how EC2 says that one is not there. */
export const KINDS = {
  vpc: { prefix: "vpc", notFound: "InvalidVpcID.NotFound", malformed: "InvalidVpcId.Malformed", words: "vpc ID" },
  subnet: { prefix: "subnet", notFound: "InvalidSubnetID.NotFound", malformed: "InvalidSubnetID.Malformed", words: "subnet ID" },
  group: { prefix: "sg", notFound: "InvalidGroup.NotFound", malformed: "InvalidGroupId.Malformed", words: "security group" },
  rule: {
    prefix: "sgr",
    notFound: "InvalidSecurityGroupRuleId.NotFound",
    malformed: "InvalidSecurityGroupRuleId.Malformed",
    words: "security group rule ID",
  },
  interface: {
    prefix: "eni",
    notFound: "InvalidNetworkInterfaceID.NotFound",
    malformed: "InvalidNetworkInterfaceId.Malformed",
    words: "networkInterface ID",
  },
  routeTable: { prefix: "rtb", notFound: "InvalidRouteTableID.NotFound", malformed: "InvalidRouteTableId.Malformed", words: "routeTable ID" },
  networkAcl: { prefix: "acl", notFound: "InvalidNetworkAclID.NotFound", malformed: "InvalidNetworkAclId.Malformed", words: "networkAcl ID" },
  gateway: {
    prefix: "igw",
    notFound: "InvalidInternetGatewayID.NotFound",
    malformed: "InvalidInternetGatewayId.Malformed",
    words: "internetGateway ID",
  },
} satisfies Record<string, Kind>;

/** Answers the resources of `ids`, or all when none are named. @throws AwsError `Invalid….Malformed`, `Invalid….NotFound` naming the missing ones. */
export function select<T>(kind: Kind, items: readonly T[], ids: readonly string[] | undefined, idOf: (item: T) => string): readonly T[] {
  if (ids === undefined || ids.length === 0) return items;
  for (const id of ids) {
    if (!new RegExp(`^${kind.prefix}-[0-9a-f]+$`).test(id)) {
      throw new AwsError(kind.malformed, `Invalid id: "${id}" (expecting "${kind.prefix}-...")`);
    }
  }
  const wanted = new Set(ids);
  const found = items.filter((item) => wanted.has(idOf(item)));
  const missing = [...wanted].filter((id) => !found.some((item) => idOf(item) === id));
  if (missing.length === 1) throw new AwsError(kind.notFound, `The ${kind.words} '${missing[0]}' does not exist`);
  if (missing.length > 1) throw new AwsError(kind.notFound, `The ${kind.words}s '${missing.join(", ")}' do not exist`);
  return found;
}

/** The one resource of an id. @throws as `select` */
export function one<T>(kind: Kind, items: readonly T[], id: string, idOf: (item: T) => string): T {
  const [item] = select(kind, items, [id], idOf);
  if (item === undefined) throw new AwsError(kind.notFound, `The ${kind.words} '${id}' does not exist`);
  return item;
}
