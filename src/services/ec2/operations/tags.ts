import type {
  CreateTagsRequest,
  DeleteTagsRequest,
  DescribeTagsRequest,
  DescribeTagsResult,
  ResourceType,
  TagDescription,
} from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import type { Scope } from "../../../core/scope.ts";
import { AwsError } from "../../../core/aws-error.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import { checkTags } from "../permissions.ts";
import type { Ec2Network, TagMap } from "../ports.ts";

const TYPES: Readonly<Record<string, ResourceType>> = {
  vpc: "vpc",
  subnet: "subnet",
  sg: "security-group",
  sgr: "security-group-rule",
  rtb: "route-table",
  igw: "internet-gateway",
  eni: "network-interface",
};

function all(network: Ec2Network, scope: Scope): readonly { readonly id: string; readonly tags: TagMap }[] {
  const groups = network.securityGroups(scope);
  return [
    ...network.vpcs(scope).map(({ vpcId, tags }) => ({ id: vpcId, tags })),
    ...network.subnets(scope).map(({ subnetId, tags }) => ({ id: subnetId, tags })),
    ...groups.map(({ groupId, tags }) => ({ id: groupId, tags })),
    ...groups.flatMap((group) => group.rules).map(({ ruleId, tags }) => ({ id: ruleId, tags })),
    ...network.routeTables(scope).map(({ routeTableId, tags }) => ({ id: routeTableId, tags })),
    ...network.internetGateways(scope).map(({ internetGatewayId, tags }) => ({ id: internetGatewayId, tags })),
    ...network.networkInterfaces(scope).map(({ eniId, tags }) => ({ id: eniId, tags })),
  ];
}

/** Checks all resources before any is changed. @throws AwsError `InvalidID` */
async function retag(
  network: Ec2Network,
  scope: Scope,
  { ids, change }: { readonly ids: readonly string[]; readonly change: (tags: TagMap) => TagMap },
): Promise<void> {
  const known = all(network, scope);
  for (const id of ids) {
    const found = known.find((resource) => resource.id === id);
    if (found === undefined) throw new AwsError("InvalidID", `The ID '${id}' is not valid`);
    change(found.tags);
  }
  for (const id of ids) {
    if (!id.startsWith("sgr-")) {
      await network.updateTags(scope, id, change);
      continue;
    }
    const group = network.securityGroups(scope).find((candidate) => candidate.rules.some((rule) => rule.ruleId === id));
    if (group === undefined) continue;
    const rules = (current: typeof group.rules) => current.map((rule) => (rule.ruleId === id ? { ...rule, tags: change(rule.tags) } : rule));
    await network.updateSecurityGroup(scope, group.groupId, (current) => ({ ...current, rules: rules(current.rules) }));
  }
}

/** @throws AwsError `InvalidID`, `InvalidParameterValue`, `TagLimitExceeded` */
export const createTags = ({ network }: Ec2Room): Operation<CreateTagsRequest, object> =>
  ec2Operation({
    name: "CreateTags",
    members: { Resources: "used", Tags: "used" },
    async handle(input, context) {
      const added = Object.fromEntries((input.Tags ?? []).map((tag) => [tag.Key ?? "", tag.Value ?? ""]));
      await retag(network, context, { ids: input.Resources ?? [], change: (tags) => checkTags({ ...tags, ...added }) });
      return {};
    },
  });

/** Removes the named keys, those with a value only where it is that; without tags, all. */
export const deleteTags = ({ network }: Ec2Room): Operation<DeleteTagsRequest, object> =>
  ec2Operation({
    name: "DeleteTags",
    members: { Resources: "used", Tags: "used" },
    async handle(input, context) {
      const goes = (key: string, value: string): boolean =>
        (input.Tags ?? []).length === 0 || (input.Tags ?? []).some((tag) => tag.Key === key && (tag.Value === undefined || tag.Value === value));
      await retag(network, context, {
        ids: input.Resources ?? [],
        change: (tags) => Object.fromEntries(Object.entries(tags).filter(([key, value]) => !goes(key, value))),
      });
      return {};
    },
  });

/** `tag:<key>` compares the value of the tag with that key. */
const FILTERS: FilterFields<TagDescription> = {
  key: (tag) => [tag.Key],
  "resource-id": (tag) => [tag.ResourceId],
  "resource-type": (tag) => [tag.ResourceType],
  value: (tag) => [tag.Value],
};

export const describeTags = ({ network }: Ec2Room): Operation<DescribeTagsRequest, DescribeTagsResult> =>
  ec2Operation({
    name: "DescribeTags",
    members: { Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      const tags: TagDescription[] = all(network, context).flatMap(({ id, tags: own }) =>
        Object.entries(own).map(([Key, Value]) => ({ Key, Value, ResourceId: id, ResourceType: TYPES[id.split("-", 1)[0] ?? ""] })),
      );
      const byTag = Object.fromEntries(
        (input.Filters ?? [])
          .filter((filter) => filter.Name?.startsWith("tag:"))
          .map((filter) => [filter.Name ?? "", (tag: TagDescription) => (`tag:${tag.Key}` === filter.Name ? [tag.Value] : [])]),
      );
      const { items, NextToken } = pageOf(applyFilters(tags, input.Filters, { ...FILTERS, ...byTag }), input, {
        idOf: (tag) => `${tag.ResourceId} ${tag.Key}`,
      });
      return { Tags: [...items], NextToken };
    },
  });
