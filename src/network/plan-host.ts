/** What the host itself needs: a veth, a route and rules for each VPC. Pure texts; `linux-host.ts` applies them. */
import type { HostLink } from "./records.ts";
import { firewallComment, hostLinkName, hostLinkPrefix, hostTable } from "./object-names.ts";
import type { ActiveVpc, Ports } from "./vpc-facts.ts";

export interface HostFacts {
  readonly instanceId: string;
  readonly vpcs: readonly ActiveVpc[];
  readonly ports: Ports;
  /** A resolver of the host on its loopback, which the VPCs' resolvers can reach only by translation. */
  readonly loopbackResolver?: string;
  /** Kernel settings that this instance, or one it shares the host with, has changed. */
  readonly changed?: readonly ChangedSetting[];
}

export interface ChangedSetting {
  /** Under /proc/sys/net. */
  readonly path: string;
  /** Its value before any instance changed it. */
  readonly before: string;
}

/** The chain of our table that says to other instances which settings were changed, and from what. No packet comes there. */
export const CHANGED_CHAIN = "changed";

/** What a chain of another instance's says, as `nft` lists it. */
export function readChanged(listing: string): readonly ChangedSetting[] {
  return [...listing.matchAll(/comment "(\S+) was (\S+)"/g)].map(([, path = "", before = ""]) => ({ path, before }));
}

/** Metric of the `unreachable` route beneath each VPC's: worse than any other. */
export const UNREACHABLE_METRIC = 4_278_198_272;

/** Our table on the host, whole, in one transaction. */
export function planHostTable(facts: HostFacts): string {
  const table = `inet ${hostTable(facts.instanceId)}`;
  const ours = `"${hostLinkPrefix(facts.instanceId)}*"`;
  const head = [`table ${table} {}`, `delete table ${table}`];
  if (facts.vpcs.length === 0) return lines(head);
  return lines([
    ...head,
    `table ${table} {`,
    chain(
      CHANGED_CHAIN,
      (facts.changed ?? []).map(({ path, before }) => `counter comment "${path} was ${before}"`),
    ),
    chain("guard", [
      "type filter hook prerouting priority raw; policy accept;",
      // Loopback is open to translated packets only.
      `iifname ${ours} ip daddr 127.0.0.0/8 drop`,
    ]),
    chain("translate", [
      "type nat hook prerouting priority dstnat; policy accept;",
      ...facts.vpcs.flatMap((vpc) => translations(facts, vpc.vpcId, vpc.link)),
    ]),
    chain("leave", [
      "type nat hook postrouting priority srcnat; policy accept;",
      ...facts.vpcs.map((vpc) => `ip saddr { ${vpc.cidr}, ${vpc.link.cidr} } oifname != { "lo" } oifname != "tg*" masquerade`),
    ]),
    chain("input", [
      "type filter hook input priority filter; policy accept;",
      `iifname != ${ours} accept`,
      "ct state established,related accept",
      "ct status dnat accept",
      ...facts.vpcs.map((vpc) => {
        const ports = [...new Set([facts.ports.apiPort, facts.ports.metadataPort])].join(", ");
        return `iifname "${hostLinkName(facts.instanceId, vpc.vpcId)}" ip daddr ${vpc.link.hostAddress} tcp dport { ${ports} } accept`;
      }),
      // A VPC's resolver may ask one that runs on this host.
      ...facts.vpcs.map(
        (vpc) =>
          `iifname "${hostLinkName(facts.instanceId, vpc.vpcId)}" ip saddr ${vpc.link.vpcAddress} meta l4proto { tcp, udp } th dport 53 accept`,
      ),
      "meta l4proto tcp reject with tcp reset",
      "reject",
    ]),
    chain("forward", [
      "type filter hook forward priority filter; policy accept;",
      `oifname ${ours} ct state established,related accept`,
      `oifname ${ours} drop`,
      `iifname ${ours} oifname "tg*" drop`,
      `iifname ${ours} tcp flags syn / syn,rst tcp option maxseg size set rt mtu`,
    ]),
    "}",
  ]);
}

function translations(facts: HostFacts, vpcId: string, link: HostLink): string[] {
  const from = `iifname "${hostLinkName(facts.instanceId, vpcId)}" ip daddr ${link.hostAddress}`;
  const { apiPort, metadataPort, hostPorts } = facts.ports;
  const open = hostPorts.filter((port) => port !== apiPort && port !== metadataPort);
  const resolver =
    facts.loopbackResolver === undefined
      ? []
      : [`${from} ip saddr ${link.vpcAddress} meta l4proto { tcp, udp } th dport 53 dnat ip to ${facts.loopbackResolver}`];
  const opened = open.length === 0 ? [] : [`${from} meta l4proto { tcp, udp } th dport { ${open.join(", ")} } dnat ip to 127.0.0.1`];
  return [...resolver, ...opened];
}

/** Makes the veth to a VPC whose namespace is at `vpcNetns`, and the route into it. */
export function planHostLink(
  instanceId: string,
  vpc: ActiveVpc,
  options: { readonly vpcNetns: string; readonly make: boolean; readonly uplink: string },
): string {
  const link = hostLinkName(instanceId, vpc.vpcId);
  return lines([
    ...(options.make ? [`link add name ${link} type veth peer name ${options.uplink} netns ${options.vpcNetns}`] : []),
    `address replace ${vpc.link.hostAddress}/30 dev ${link}`,
    `link set ${link} up`,
    `route replace ${vpc.cidr} via ${vpc.link.vpcAddress} dev ${link} src ${vpc.link.hostAddress}`,
    // Beneath it, so that without the link nobody else is asked.
    `route replace unreachable ${vpc.cidr} metric ${UNREACHABLE_METRIC}`,
  ]);
}

/** A rule for an iptables chain of the host's firewall, without the verb. */
export interface FirewallRule {
  readonly chain: string;
  readonly rule: readonly string[];
}

/**
 * What a firewall that drops must let through: it decides for itself, whatever our table accepts. Our table still holds what may pass.
 * `chains` are those of iptables' filter table.
 */
export function planFirewall(instanceId: string, chains: readonly string[]): readonly FirewallRule[] {
  const links = `${hostLinkPrefix(instanceId)}+`;
  const comment = ["-m", "comment", "--comment", firewallComment(instanceId)];
  const forward = chains.includes("DOCKER-USER") ? "DOCKER-USER" : "FORWARD";
  return [
    ...(chains.includes(forward)
      ? [
          { chain: forward, rule: ["-i", links, ...comment, "-j", "ACCEPT"] },
          { chain: forward, rule: ["-o", links, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", ...comment, "-j", "ACCEPT"] },
        ]
      : []),
    ...(chains.includes("INPUT") ? [{ chain: "INPUT", rule: ["-i", links, ...comment, "-j", "ACCEPT"] }] : []),
  ];
}

function chain(name: string, content: readonly string[]): string {
  return [`  chain ${name} {`, ...content.map((line) => `    ${line}`), "  }"].join("\n");
}

function lines(parts: readonly string[]): string {
  return parts.map((part) => `${part}\n`).join("");
}
