/**
 * The rules of a VPC, as nftables text. Pure. One `inet` table in the VPC's namespace:
 *
 * - a set of addresses for each security group, one of all live interfaces (`enis`), one of those that may leave the VPC (`internet`), one of
 *   load balancers without groups, which everybody may reach and who reach everybody that lets them (`open`), one of those that have a kubelet
 *   (`nodes`), live or not, since a pod that has ended still has its logs: it is this instance's process, and tells the nodes apart by the
 *   address that callers seem to have;
 * - base chains `forward`, `input` and `output`, which drop by default: load balancers live in the namespace, so that what they send and
 *   get passes `output` and `input`, everybody else's traffic `forward`;
 * - a packet from an interface goes through `egress`, where each of the source's groups has a chain `out-<group>`; a rule that allows it
 *   sends it to `ingress`, where each of the destination's groups has a chain `in-<group>`, whose rules accept. Both must allow.
 *
 * What is established goes on when its rule is revoked, as tracked connections do on AWS; new connections end at once.
 */
import { addressAt } from "./cidr.ts";
import { ENDPOINT_ADDRESS, METADATA_ADDRESS, NODE_PORT, POD_IDENTITY_ADDRESS, RESOLVER_ADDRESS, UPLINK, VPC_TABLE } from "./object-names.ts";
import type { EniRecord, GroupRule, SecurityGroupRecord } from "./records.ts";
import { isLive } from "./records.ts";
import type { VpcFacts } from "./vpc-facts.ts";
import { reachesInternet } from "./vpc-facts.ts";

const T = `inet ${VPC_TABLE}`;
const LINK_LOCAL = "169.254.0.0/16";
/** Of the kernel's table of tracked connections, which all interfaces of a VPC share, what one of them may take for those that it opens. */
const CONNECTIONS_OF_ONE = 8192;

/** The whole table, replacing what is there in one transaction. */
export function planVpcTable(facts: VpcFacts): string {
  const live = facts.enis.filter(isLive);
  const groups = inOrder(facts.groups);
  const members = (groupId: string): string[] => live.filter((eni) => eni.groupIds.includes(groupId)).map((eni) => eni.privateIpv4);
  const internet = live.filter((eni) => reachesInternet(eni, facts.vpc, facts.routeTables)).map((eni) => eni.privateIpv4);
  return [
    `table ${T} {}`,
    `delete table ${T}`,
    `table ${T} {`,
    addressSet(
      "enis",
      live.map((eni) => eni.privateIpv4),
    ),
    addressSet("internet", internet),
    addressSet(
      "open",
      live.filter(isOpen).map((eni) => eni.privateIpv4),
    ),
    addressSet(
      "nodes",
      facts.enis.filter((eni) => eni.isNode === true).map((eni) => eni.privateIpv4),
    ),
    ...groups.map((group) => addressSet(group.groupId, members(group.groupId))),
    ...groups.flatMap((group) => [chain(`in-${group.groupId}`, ingressRules(group)), chain(`out-${group.groupId}`, egressRules(group))]),
    ...fixedChains(facts),
    chain("egress", dispatchRules(groups, "egress")),
    chain("ingress-groups", dispatchRules(groups, "ingress")),
    "}",
    "",
  ].join("\n");
}

/**
 * Fills the table's chain `limits`: counts, by its address, the connections that an interface has opened and that are not closed, and drops
 * the first packet of what is beyond. Apart from the table, because a kernel without nft_connlimit refuses it.
 */
export function planConnectionLimit(): string {
  return lines([
    `flush chain ${T} limits`,
    `add set ${T} opened { type ipv4_addr; size 65536; flags dynamic; }`,
    `add rule ${T} limits ip saddr @enis add @opened { ip saddr ct count over ${CONNECTIONS_OF_ONE} } drop`,
  ]);
}

/** Makes a group's set if need be, and brings its chains up to date. */
export function planGroupChange(allGroups: readonly SecurityGroupRecord[], groupId: string): string {
  const groups = inOrder(allGroups);
  const group = groups.find((candidate) => candidate.groupId === groupId);
  const dispatch = [
    `flush chain ${T} egress`,
    `flush chain ${T} ingress-groups`,
    ...dispatchRules(groups, "egress").map((rule) => `add rule ${T} egress ${rule}`),
    ...dispatchRules(groups, "ingress").map((rule) => `add rule ${T} ingress-groups ${rule}`),
  ];
  const chains = [`in-${groupId}`, `out-${groupId}`];
  const make = [`add set ${T} ${groupId} { type ipv4_addr; }`, ...chains.map((name) => `add chain ${T} ${name}`)];
  const flush = chains.map((name) => `flush chain ${T} ${name}`);
  if (group === undefined) {
    const end = [...chains.map((name) => `delete chain ${T} ${name}`), `delete set ${T} ${groupId}`];
    return lines([...make, ...dispatch, ...flush, ...end]);
  }
  const rules = [
    ...ingressRules(group).map((rule) => `add rule ${T} in-${groupId} ${rule}`),
    ...egressRules(group).map((rule) => `add rule ${T} out-${groupId} ${rule}`),
  ];
  return lines([...make, ...flush, ...rules, ...dispatch]);
}

/** Puts a live interface into the sets it belongs to. */
export function planJoin(eni: EniRecord, facts: Pick<VpcFacts, "vpc" | "routeTables">): string {
  return lines(setsOf(eni, facts).map((set) => `add element ${T} ${set} { ${eni.privateIpv4} }`));
}

/** Takes an interface out of every set, one whose address is kept not out of the nodes; no error when it is in none. */
export function planLeave(eni: EniRecord, isKept: boolean): string {
  const sets = ["enis", "internet", "open", ...(eni.isNode === true && !isKept ? ["nodes"] : []), ...eni.groupIds];
  return lines(sets.flatMap((set) => ["add", "delete"].map((verb) => `${verb} element ${T} ${set} { ${eni.privateIpv4} }`)));
}

/** After a change of routes: who may leave the VPC. */
export function planInternetSet(facts: VpcFacts): string {
  const addresses = facts.enis.filter((eni) => isLive(eni) && reachesInternet(eni, facts.vpc, facts.routeTables)).map((eni) => eni.privateIpv4);
  const add = addresses.length === 0 ? [] : [`add element ${T} internet { ${addresses.join(", ")} }`];
  return lines([`flush set ${T} internet`, ...add]);
}

function setsOf(eni: EniRecord, facts: Pick<VpcFacts, "vpc" | "routeTables">): string[] {
  const internet = reachesInternet(eni, facts.vpc, facts.routeTables) ? ["internet"] : [];
  return ["enis", ...internet, ...(isOpen(eni) ? ["open"] : []), ...(eni.isNode === true ? ["nodes"] : []), ...eni.groupIds];
}

function isOpen({ local, groupIds }: EniRecord): boolean {
  return local && groupIds.length === 0;
}

function fixedChains(facts: VpcFacts): string[] {
  const { vpc, ports } = facts;
  const { hostAddress } = vpc.link;
  const resolver = `{ ${addressAt(vpc.cidr, 2)}, ${RESOLVER_ADDRESS} }`;
  const apiPorts = [...new Set([80, ports.apiPort])].join(", ");
  const toKubelet = `ct original proto-dst ${NODE_PORT} ct original ip daddr @nodes`;
  const hostPorts = ports.hostPorts.length === 0 ? [] : [`oifname "${UPLINK}" ip daddr ${hostAddress} ${anyPort(ports.hostPorts)} accept`];
  return [
    chain("translate", [
      "type nat hook prerouting priority dstnat; policy accept;",
      `ip daddr { ${METADATA_ADDRESS}, ${POD_IDENTITY_ADDRESS} } tcp dport 80 dnat ip to ${hostAddress}:${ports.metadataPort}`,
      `ip daddr ${ENDPOINT_ADDRESS} tcp dport { ${apiPorts} } dnat ip to ${hostAddress}:${ports.apiPort}`,
      `ip daddr @nodes tcp dport ${NODE_PORT} dnat ip to ${hostAddress}:${ports.kubeletPort}`,
    ]),
    chain("as-node", [
      "type nat hook postrouting priority srcnat; policy accept;",
      `oifname "${UPLINK}" meta l4proto tcp ct status dnat ${toKubelet} snat ip to ct original ip daddr`,
    ]),
    chain("outside", [...hostPorts, `oifname "${UPLINK}" ip daddr ${LINK_LOCAL} reject`, `oifname "${UPLINK}" ip saddr @internet accept`]),
    chain("ingress", ["ip daddr @enis goto ingress-groups", "goto outside"]),
    chain("limits", []),
    chain("forward", [
      "type filter hook forward priority filter; policy drop;",
      // Nobody whose interface is not live, whatever is established from the address's earlier life.
      `ip saddr ${vpc.cidr} ip saddr != @enis drop`,
      `ip daddr ${vpc.cidr} ip daddr != @enis drop`,
      "ct state established,related accept",
      "ct state invalid drop",
      "jump limits",
      `ip saddr @enis ct status dnat ct original ip daddr { ${METADATA_ADDRESS}, ${POD_IDENTITY_ADDRESS}, ${ENDPOINT_ADDRESS} } accept`,
      `ip saddr @enis meta l4proto tcp ct status dnat ${toKubelet} accept`,
      // A kubelet's probes of its own pods pass no group on AWS either: they do not leave the node.
      `iifname "${UPLINK}" ip saddr ${hostAddress} ip daddr @nodes accept`,
      "ip saddr @enis goto egress",
      "goto ingress",
    ]),
    chain("input", [
      "type filter hook input priority filter; policy drop;",
      'iifname "lo" accept',
      "ct state established,related accept",
      "ct state invalid drop",
      // Not counted: a question is a connection of its own for half a minute, and who asks a few hundred times a second floods nobody.
      `ip saddr @enis ip daddr ${resolver} ${anyPort([53])} accept`,
      "jump limits",
      `iifname "${UPLINK}" ip saddr ${hostAddress} ip daddr ${resolver} ${anyPort([53])} accept`,
      "ip saddr @enis goto egress",
      "goto ingress",
    ]),
    chain("output", [
      "type filter hook output priority filter; policy drop;",
      "ct state established,related accept",
      "ip saddr @enis goto egress",
      "ip daddr @enis goto ingress-groups",
      // The resolver's own questions, ICMP errors.
      "accept",
    ]),
  ];
}

function dispatchRules(groups: readonly SecurityGroupRecord[], direction: "ingress" | "egress"): string[] {
  const [field, prefix] = direction === "ingress" ? ["daddr", "in"] : ["saddr", "out"];
  const open = `ip ${field} @open ${direction === "ingress" ? "accept" : "goto ingress"}`;
  return [open, ...groups.map((group) => `ip ${field} @${group.groupId} jump ${prefix}-${group.groupId}`)];
}

function inOrder(groups: readonly SecurityGroupRecord[]): readonly SecurityGroupRecord[] {
  return [...groups].sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
}

function ingressRules(group: SecurityGroupRecord): string[] {
  return group.rules.filter((rule) => !rule.egress).flatMap((rule) => ruleText(rule, "saddr", "accept"));
}

function egressRules(group: SecurityGroupRecord): string[] {
  return group.rules.filter((rule) => rule.egress).flatMap((rule) => ruleText(rule, "daddr", "goto ingress"));
}

/** One rule of a group; none for what cannot match, as VPCs have no IPv6. */
function ruleText(rule: GroupRule, peer: "saddr" | "daddr", verdict: string): string[] {
  const peerMatch = peerText(rule, peer);
  if (peerMatch === undefined || rule.protocol === "icmpv6") return [];
  return [`${[peerMatch, protocolText(rule), verdict].filter((part) => part !== "").join(" ")} comment "${rule.ruleId}"`];
}

function peerText(rule: GroupRule, peer: "saddr" | "daddr"): string | undefined {
  if (rule.referencedGroupId !== undefined) return `ip ${peer} @${rule.referencedGroupId}`;
  if (rule.cidrIpv4 === undefined) return undefined;
  return rule.cidrIpv4 === "0.0.0.0/0" ? "" : `ip ${peer} ${rule.cidrIpv4}`;
}

function protocolText(rule: GroupRule): string {
  switch (rule.protocol) {
    case "-1":
      return "";
    case "tcp":
    case "udp": {
      if (rule.fromPort <= 0 && (rule.toPort === -1 || rule.toPort === 65_535)) return `meta l4proto ${rule.protocol}`;
      return `${rule.protocol} dport ${rule.fromPort === rule.toPort ? rule.fromPort : `${rule.fromPort}-${rule.toPort}`}`;
    }
    case "icmp": {
      if (rule.fromPort === -1) return "meta l4proto icmp";
      return `icmp type ${rule.fromPort}${rule.toPort === -1 ? "" : ` icmp code ${rule.toPort}`}`;
    }
    default:
      return `meta l4proto ${rule.protocol}`;
  }
}

function anyPort(ports: readonly number[]): string {
  return `meta l4proto { tcp, udp } th dport { ${ports.join(", ")} }`;
}

function addressSet(name: string, addresses: readonly string[]): string {
  const elements = addresses.length === 0 ? "" : ` elements = { ${[...addresses].sort().join(", ")} };`;
  return `  set ${name} { type ipv4_addr;${elements} }`;
}

function chain(name: string, content: readonly string[]): string {
  return [`  chain ${name} {`, ...content.map((line) => `    ${line}`), "  }"].join("\n");
}

function lines(parts: readonly string[]): string {
  return parts.map((part) => `${part}\n`).join("");
}
