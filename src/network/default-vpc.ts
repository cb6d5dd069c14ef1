/** The records of VPCs as AWS makes them. Pure but for the ids. */
import type { Ids } from "../core/ids.ts";
import type { Scope } from "../core/scope.ts";
import { formatCidr, parseCidr, subBlock } from "./cidr.ts";
import type { GroupRule, InternetGatewayRecord, RouteTableRecord, SecurityGroupRecord, SubnetRecord, Tags, VpcRecord } from "./records.ts";

export interface VpcParts {
  readonly vpc: VpcRecord;
  readonly routeTable: RouteTableRecord;
  readonly group: SecurityGroupRecord;
  readonly subnets: readonly SubnetRecord[];
  readonly gateway?: InternetGatewayRecord;
}

export interface MakeVpc extends Scope {
  readonly cidr: string;
  readonly isDefault: boolean;
  readonly tags: Tags;
  readonly nowMs: number;
}

/** The zones of a region: `a`, `b`, `c`. */
export function zonesOf(region: string): readonly { readonly name: string; readonly id: string }[] {
  return ["a", "b", "c"].map((letter, index) => ({ name: `${region}${letter}`, id: `${shortRegion(region)}-az${index + 1}` }));
}

/** As in zone ids: `us-east-1` is `use1`, `ap-southeast-2` is `apse2`. */
function shortRegion(region: string): string {
  const [area = "", ...rest] = region.split("-");
  const number = rest.at(-1) ?? "1";
  const words = rest.slice(0, -1).join("-");
  const short = /^(north|south)(east|west)$/.test(words)
    ? `${words[0]}${words.replace(/^(north|south)/, "")[0]}`
    : words.replaceAll(/(\w)\w*-?/g, "$1");
  return `${area}${short}${number}`;
}

/** A VPC with its main route table and default group; the default VPC also with an internet gateway and a subnet in each zone. */
export function makeVpc(request: MakeVpc, ids: Ids): VpcParts {
  const { account, region, cidr, isDefault, tags, nowMs } = request;
  const scope: Scope = { account, region };
  const id = (prefix: string): string => `${prefix}-0${ids.hex(16)}`;
  const vpcId = id("vpc");
  const gateway = isDefault ? { ...scope, internetGatewayId: id("igw"), vpcId, tags: {} } : undefined;
  const vpc: VpcRecord = {
    ...scope,
    vpcId,
    cidr,
    isDefault,
    dhcpOptionsId: id("dopt"),
    enableDnsSupport: true,
    enableDnsHostnames: isDefault,
    tags,
    createdAtMs: nowMs,
  };
  const routeTable: RouteTableRecord = {
    ...scope,
    routeTableId: id("rtb"),
    vpcId,
    routes: [
      { destinationCidr: cidr, target: "local", origin: "CreateRouteTable" },
      ...(gateway === undefined ? [] : [{ destinationCidr: "0.0.0.0/0", target: gateway.internetGatewayId, origin: "CreateRoute" as const }]),
    ],
    associations: [{ associationId: id("rtbassoc") }],
    tags: {},
  };
  return { vpc, routeTable, gateway, group: makeDefaultGroup(vpc, ids), subnets: isDefault ? makeDefaultSubnets(vpc, ids) : [] };
}

function makeDefaultGroup(vpc: VpcRecord, ids: Ids): SecurityGroupRecord {
  const groupId = `sg-0${ids.hex(16)}`;
  const fromItself: GroupRule = {
    ruleId: ruleId(ids),
    egress: false,
    protocol: "-1",
    fromPort: -1,
    toPort: -1,
    referencedGroupId: groupId,
    tags: {},
  };
  return {
    account: vpc.account,
    region: vpc.region,
    groupId,
    groupName: "default",
    description: "default VPC security group",
    vpcId: vpc.vpcId,
    rules: [fromItself, allowAllEgress(ids)],
    tags: {},
  };
}

/** What every new group has: anything may leave. */
export function allowAllEgress(ids: Ids): GroupRule {
  return { ruleId: ruleId(ids), egress: true, protocol: "-1", fromPort: -1, toPort: -1, cidrIpv4: "0.0.0.0/0", tags: {} };
}

export function ruleId(ids: Ids): string {
  return `sgr-0${ids.hex(16)}`;
}

/** In a /16, as on AWS, a /20 in each zone; in smaller blocks a sixteenth, but no less than AWS's smallest, a /28. */
function makeDefaultSubnets(vpc: VpcRecord, ids: Ids): SubnetRecord[] {
  const block = parseCidr(vpc.cidr);
  const prefix = Math.min(28, block.prefix + 4);
  return zonesOf(vpc.region).map((zone, index) => ({
    account: vpc.account,
    region: vpc.region,
    subnetId: `subnet-0${ids.hex(16)}`,
    vpcId: vpc.vpcId,
    cidr: formatCidr(subBlock(block, prefix, index)),
    availabilityZone: zone.name,
    availabilityZoneId: zone.id,
    defaultForAz: true,
    mapPublicIpOnLaunch: true,
    tags: {},
  }));
}
