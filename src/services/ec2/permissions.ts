/** Security group rules: between EC2's nested permissions and one record a rule. */
import { isIPv6 } from "node:net";
import type { IpPermission, TagSpecification } from "@aws-sdk/client-ec2";
import { AwsError } from "../../core/aws-error.ts";
import { groupNotFound, invalidValue } from "./errors.ts";
import type { Group, Rule, TagMap } from "./ports.ts";

const PROTOCOL_NAMES: Readonly<Record<string, string>> = { "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6" };

/** A rule before it has an id. */
export type NewRule = Omit<Rule, "ruleId" | "tags">;

export interface RuleContext {
  readonly egress: boolean;
  /** All groups that a rule may name: those of the same VPC. */
  readonly groups: readonly Group[];
  readonly account: string;
}

/** One rule for each source or destination. @throws AwsError `InvalidParameterValue`, `InvalidGroup.NotFound`, `MissingParameter` */
export function rulesOf(permissions: readonly IpPermission[], context: RuleContext): readonly NewRule[] {
  return permissions.flatMap((permission) => {
    const base = { egress: context.egress, ...protocolAndPorts(permission) };
    if ((permission.PrefixListIds ?? []).length > 0) {
      throw new AwsError("InvalidPrefixListID.NotFound", `The prefix list ID '${permission.PrefixListIds?.[0]?.PrefixListId ?? ""}' does not exist`);
    }
    const peers: NewRule[] = [
      ...(permission.IpRanges ?? []).map((range) => ({ ...base, cidrIpv4: ipv4Block(range.CidrIp), description: range.Description })),
      ...(permission.Ipv6Ranges ?? []).map((range) => ({ ...base, cidrIpv6: ipv6Block(range.CidrIpv6), description: range.Description })),
      ...(permission.UserIdGroupPairs ?? []).map((pair) => {
        if (pair.UserId !== undefined && pair.UserId !== context.account) throw groupNotFound(pair.GroupId ?? pair.GroupName ?? "");
        return { ...base, referencedGroupId: groupIdOf(pair.GroupId, pair.GroupName, context.groups), description: pair.Description };
      }),
    ];
    if (peers.length === 0) throw invalidValue("Invalid value '' for CIDR. A rule needs a CIDR block, a security group or a prefix list.");
    return peers;
  });
}

/** @throws AwsError `InvalidGroup.NotFound`, also for a group of another VPC, which EC2 does not tell apart. */
export function groupIdOf(groupId: string | undefined, groupName: string | undefined, groups: readonly Group[]): string {
  const found = groups.find((group) => (groupId === undefined ? group.groupName === groupName : group.groupId === groupId));
  if (found === undefined) throw groupNotFound(groupId ?? groupName ?? "");
  return found.groupId;
}

/** @throws AwsError `InvalidParameterValue` */
export function protocolAndPorts(rule: {
  readonly IpProtocol?: string;
  readonly FromPort?: number;
  readonly ToPort?: number;
}): Pick<Rule, "protocol" | "fromPort" | "toPort"> {
  const protocol = protocolOf(rule.IpProtocol);
  const { FromPort: from, ToPort: to } = rule;
  switch (protocol) {
    case "tcp":
    case "udp": {
      if (from === undefined || to === undefined)
        throw invalidValue("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.");
      if (from === -1 && to === -1) return { protocol, fromPort: 0, toPort: 65_535 };
      for (const port of [from, to])
        if (port < 0 || port > 65_535) throw invalidValue(`Invalid value '${port}' for portRange. Must be between 0 and 65535.`);
      if (from > to) throw invalidValue(`Invalid value '${from}-${to}' for portRange. The from port is greater than the to port.`);
      return { protocol, fromPort: from, toPort: to };
    }
    case "icmp":
    case "icmpv6": {
      const [type, code] = [from ?? -1, to ?? -1];
      if (type < -1 || type > 255 || code < -1 || code > 255) throw invalidValue(`Invalid value '${type}:${code}' for ICMP type and code.`);
      return { protocol, fromPort: type, toPort: type === -1 ? -1 : code };
    }
    default:
      return { protocol, fromPort: -1, toPort: -1 };
  }
}

function protocolOf(text: string | undefined): string {
  if (text === undefined || text === "") throw invalidValue("Invalid value '' for IP protocol. Unknown protocol.");
  const name = PROTOCOL_NAMES[text] ?? text.toLowerCase();
  if (Object.values(PROTOCOL_NAMES).includes(name) || name === "-1") return name;
  if (/^\d+$/.test(name) && Number(name) <= 255) return name;
  throw invalidValue(`Invalid value '${text}' for IP protocol. Unknown protocol.`);
}

/** In canonical form, without host bits, as EC2 keeps it. */
export function ipv4Block(text: string | undefined): string {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text ?? "");
  const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = (match?.slice(1) ?? []).map(Number);
  if (match === null || [a, b, c, d].some((byte) => byte > 255) || prefix > 32) throw invalidValue(`CIDR block ${text ?? ""} is malformed`);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const base = address - (address % 2 ** (32 - prefix));
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".")}/${prefix}`;
}

function ipv6Block(text: string | undefined): string {
  const [address = "", prefix = "", ...rest] = (text ?? "").split("/");
  if (!isIPv6(address) || !/^\d{1,3}$/.test(prefix) || Number(prefix) > 128 || rest.length > 0)
    throw invalidValue(`CIDR block ${text ?? ""} is malformed`);
  return `${new URL(`http://[${address}]`).hostname.slice(1, -1)}/${Number(prefix)}`;
}

/** What makes two rules the same: all but id, description and tags. */
export function sameRule(a: NewRule, b: NewRule): boolean {
  const key = (rule: NewRule): string =>
    JSON.stringify([rule.egress, rule.protocol, rule.fromPort, rule.toPort, rule.cidrIpv4, rule.cidrIpv6, rule.referencedGroupId]);
  return key(a) === key(b);
}

/** @throws AwsError `InvalidPermission.Duplicate` in EC2's words */
export function duplicate(rule: NewRule): AwsError {
  const peer = rule.cidrIpv4 ?? rule.cidrIpv6 ?? rule.referencedGroupId ?? "";
  const protocol = rule.protocol === "-1" ? "ALL" : rule.protocol.toUpperCase();
  const ports = rule.protocol === "tcp" || rule.protocol === "udp" ? `, from port: ${rule.fromPort}, to port: ${rule.toPort}` : "";
  const icmp = rule.protocol === "icmp" ? `, type: ${anyOr(rule.fromPort)}, code: ${anyOr(rule.toPort)}` : "";
  return new AwsError("InvalidPermission.Duplicate", `the specified rule "peer: ${peer}, ${protocol}${ports}${icmp}, ALLOW" already exists`);
}

function anyOr(value: number): string {
  return value === -1 ? "ALL" : String(value);
}

/** A group's rules of one direction as EC2 nests them: one permission for each protocol and port range. */
export function permissionsOf(rules: readonly NewRule[], account: string): IpPermission[] {
  const byRange = new Map<string, NewRule[]>();
  for (const rule of rules) {
    const key = `${rule.protocol} ${rule.fromPort} ${rule.toPort}`;
    byRange.set(key, [...(byRange.get(key) ?? []), rule]);
  }
  return [...byRange.values()].map((same) => {
    const [first] = same;
    const described = (rule: NewRule): { Description?: string } => (rule.description === undefined ? {} : { Description: rule.description });
    return {
      IpProtocol: first?.protocol,
      ...(first?.protocol === "tcp" || first?.protocol === "udp" || first?.protocol.startsWith("icmp")
        ? { FromPort: first.fromPort, ToPort: first.toPort }
        : {}),
      IpRanges: same.flatMap((rule) => (rule.cidrIpv4 === undefined ? [] : [{ CidrIp: rule.cidrIpv4, ...described(rule) }])),
      Ipv6Ranges: same.flatMap((rule) => (rule.cidrIpv6 === undefined ? [] : [{ CidrIpv6: rule.cidrIpv6, ...described(rule) }])),
      PrefixListIds: [],
      UserIdGroupPairs: same.flatMap((rule) =>
        rule.referencedGroupId === undefined ? [] : [{ GroupId: rule.referencedGroupId, UserId: account, ...described(rule) }],
      ),
    };
  });
}

/** The tags for a new resource of a type. @throws AwsError for tags of another type. */
export function tagsFor(type: string, specifications: readonly TagSpecification[] | undefined): TagMap {
  const entries = (specifications ?? []).flatMap((specification) => {
    if (specification.ResourceType !== type)
      throw invalidValue(`'${specification.ResourceType ?? ""}' is not a valid taggable resource type for this operation.`);
    return (specification.Tags ?? []).map((tag) => [tag.Key ?? "", tag.Value ?? ""] as const);
  });
  return checkTags(Object.fromEntries(entries));
}

/** @throws AwsError `InvalidParameterValue`, `TagLimitExceeded` */
export function checkTags(tags: TagMap): TagMap {
  for (const [key, value] of Object.entries(tags)) {
    if (key === "" || key.length > 128 || value.length > 256) throw invalidValue(`Tag key '${key}' or its value is too long, or empty.`);
    if (key.toLowerCase().startsWith("aws:")) throw invalidValue(`Tag keys starting with 'aws:' are reserved for internal use`);
  }
  if (Object.keys(tags).length > 50) throw new AwsError("TagLimitExceeded", "The maximum number of tags for a resource is 50");
  return tags;
}
