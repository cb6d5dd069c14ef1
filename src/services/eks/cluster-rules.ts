import type { VpcConfigRequest } from "@aws-sdk/client-eks";
import type { Scope } from "../../core/scope.ts";
import { AwsError } from "../../core/aws-error.ts";
import { invalidParameter } from "./errors.ts";
import type { EksPorts, SubnetInfo } from "./ports.ts";
import type { ClusterRecord, ClusterVpc } from "./records.ts";
import { CLUSTER_VERSION } from "./versions.ts";

const MAXIMUM_GROUPS = 4;
const MAXIMUM_CIDRS = 40;
/** In this order: the first that the VPC does not overlap. */
const SERVICE_CIDRS = ["10.100.0.0/16", "172.20.0.0/16"];
const RFC_1918 = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/** @throws InvalidParameterException for any other than the one that is run. */
export function readVersion(version: string | undefined): string {
  if (version !== undefined && version !== CLUSTER_VERSION) throw invalidParameter(`unsupported Kubernetes version [${version}]`);
  return CLUSTER_VERSION;
}

/** Why a cluster does not go on to that version, in AWS's words. */
export function readVersionUpdate({ name, version: from }: Pick<ClusterRecord, "name" | "version">, to: string | undefined): AwsError {
  if (to === undefined) return invalidParameter("A version must be specified", name);
  const [minorFrom, minorTo] = [from, to].map((version) => Number(/^1\.(\d{1,3})$/.exec(version)?.[1] ?? Number.NaN));
  if (Number.isNaN(minorTo) || minorTo === (minorFrom ?? 0) + 1) return invalidParameter(`unsupported Kubernetes version [${to}]`, name);
  return invalidParameter(`Unsupported Kubernetes minor version update from ${from} to ${to}`, name);
}

/** @throws AccessDeniedException, InvalidParameterException */
export async function checkRole(roles: EksPorts["roles"], scope: Scope, roleArn: string): Promise<void> {
  const [, account] = /^arn:aws[a-z-]*:iam::(\d{12}):role\/.+$/.exec(roleArn) ?? [];
  if (account === undefined) throw invalidParameter(`The role ARN '${roleArn}' is not valid.`);
  if (account !== scope.account) throw new AwsError("AccessDeniedException", "Cross-account pass role is not allowed.", { httpStatus: 403 });
  if (!(await roles.exists(roleArn))) {
    throw invalidParameter(`Role with arn: ${roleArn}, could not be assumed because it does not exist or the trusted entity is not correct`);
  }
}

/** Subnets, groups and who may come in. @throws InvalidParameterException */
export async function readVpc(
  network: EksPorts["network"],
  scope: Scope,
  request: VpcConfigRequest,
): Promise<{ readonly vpc: ClusterVpc; readonly cidr: string }> {
  const subnets = await readSubnets(network, scope, request.subnetIds ?? []);
  const [first] = subnets as readonly [SubnetInfo];
  const { vpcId } = first;
  const groupIds = [...new Set(request.securityGroupIds)];
  if (groupIds.length > MAXIMUM_GROUPS) throw invalidParameter(`At most ${MAXIMUM_GROUPS} security groups can be specified`);
  const groups = await network.securityGroups(scope, groupIds);
  const missing = groupIds.find((id) => !groups.some(({ groupId }) => groupId === id));
  if (missing !== undefined) throw invalidParameter(`The security group '${missing}' does not exist`);
  if (groups.some((group) => group.vpcId !== vpcId)) throw invalidParameter("Security group(s) are not in the same VPC as the subnets");
  const vpc: ClusterVpc = {
    vpcId,
    subnetIds: subnets.map(({ subnetId }) => subnetId),
    securityGroupIds: groupIds,
    ...readAccess(request, { publicAccess: true, privateAccess: false, publicAccessCidrs: [] }),
    endpointSubnet: { subnetId: first.subnetId, availabilityZone: first.availabilityZone },
  };
  return { vpc, cidr: first.vpcCidr };
}

type Access = Pick<ClusterVpc, "publicAccess" | "privateAccess" | "publicAccessCidrs">;

/** Who may reach the endpoint; what is left out is as before. Public access is open to all unless it says otherwise. @throws InvalidParameterException */
export function readAccess(request: VpcConfigRequest, before: Access): Access {
  const publicAccess = request.endpointPublicAccess ?? before.publicAccess;
  const privateAccess = request.endpointPrivateAccess ?? before.privateAccess;
  if (!publicAccess && !privateAccess) throw invalidParameter("Private and public endpoint access cannot be false");
  const cidrs = request.publicAccessCidrs ?? (before.publicAccessCidrs.length > 0 ? before.publicAccessCidrs : ["0.0.0.0/0"]);
  return { publicAccess, privateAccess, publicAccessCidrs: publicAccess ? readAccessCidrs(cidrs) : [] };
}

async function readSubnets(network: EksPorts["network"], scope: Scope, asked: readonly string[]): Promise<readonly SubnetInfo[]> {
  const ids = [...new Set(asked)];
  const subnets = await network.subnets(scope, ids);
  const missing = ids.find((id) => !subnets.some(({ subnetId }) => subnetId === id));
  if (missing !== undefined) throw invalidParameter(`The subnet ID '${missing}' does not exist`);
  if (new Set(subnets.map(({ vpcId }) => vpcId)).size > 1) throw invalidParameter("Subnets specified must belong to the same VPC");
  if (new Set(subnets.map(({ availabilityZone }) => availabilityZone)).size < 2) {
    throw invalidParameter("Subnets specified must be in at least two different AZs");
  }
  return subnets;
}

function readAccessCidrs(cidrs: readonly string[]): readonly string[] {
  if (cidrs.length > MAXIMUM_CIDRS) throw invalidParameter(`At most ${MAXIMUM_CIDRS} public access CIDRs can be specified`);
  const wrong = cidrs.find((cidr) => blockOf(cidr) === undefined);
  if (wrong !== undefined) throw invalidParameter(`The following CIDRs are invalid in publicAccessCidrs: [${wrong}]`);
  return [...new Set(cidrs)];
}

/** The block of the services' addresses: the one asked for, else the first usual one that is clear of the VPC. @throws InvalidParameterException */
export function readServiceCidr(asked: string | undefined, vpcCidr: string): string {
  const vpc = blockOf(vpcCidr);
  const clear = (cidr: string): boolean => vpc === undefined || !overlap(blockOf(cidr)!, vpc);
  if (asked === undefined) return SERVICE_CIDRS.find(clear)!;
  const block = blockOf(asked);
  if (block === undefined) throw invalidParameter(`The serviceIpv4Cidr '${asked}' is not a valid CIDR block`);
  const within = RFC_1918.some((cidr) => contains(blockOf(cidr)!, block));
  if (!within) throw invalidParameter("serviceIpv4Cidr must be within RFC1918 range");
  if (block.prefix < 12 || block.prefix > 24) throw invalidParameter("serviceIpv4Cidr must have netmask size between /12 and /24 inclusive");
  if (!clear(asked)) throw invalidParameter(`serviceIpv4Cidr ${asked} must not overlap with the CIDR block ${vpcCidr} of the VPC`);
  return asked;
}

/** Of the services' block: the first address is that of the service `kubernetes`, the tenth that of the cluster's DNS. */
export function serviceAddress(cidr: string, index: number): string {
  const { base } = blockOf(cidr)!;
  return [24, 16, 8, 0].map((shift) => ((base + index) >>> shift) & 255).join(".");
}

export const CLUSTER_DNS = 10;

interface Block {
  readonly base: number;
  readonly prefix: number;
}

/** `undefined` for what is no block, and for one whose address has bits beyond its prefix. */
function blockOf(cidr: string): Block | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (match === null) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = match.slice(1).map(Number);
  const base = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
  if ([a, b, c, d].some((part) => part > 255) || prefix > 32 || base % 2 ** (32 - prefix) !== 0) return undefined;
  return { base, prefix };
}

function contains(outer: Block, inner: Block): boolean {
  return outer.prefix <= inner.prefix && Math.floor(inner.base / 2 ** (32 - outer.prefix)) === outer.base / 2 ** (32 - outer.prefix);
}

function overlap(a: Block, b: Block): boolean {
  return contains(a, b) || contains(b, a);
}
