/** What the host itself needs: a veth, a route and rules for each VPC. Pure texts; `linux-host.ts` applies them. */
import type { PublishedPort } from "../contracts/network.ts";
import type { HostLink } from "./records.ts";
import { firewallComment, hostLinkName, hostLinkPrefix, hostTable } from "./object-names.ts";
import type { ActiveVpc, Ports } from "./vpc-facts.ts";

export interface HostFacts {
  readonly instanceId: string;
  readonly vpcs: readonly ActiveVpc[];
  readonly ports: Ports;
  /** A resolver of the host on its loopback, which the VPCs' resolvers can reach only by translation. */
  readonly loopbackResolver?: string;
  readonly published?: readonly PublishedPort[];
  /** Kernel settings that this instance, or one it shares the host with, has changed. */
  readonly changed?: readonly ChangedSetting[];
}

export interface ChangedSetting {
  /** Under /proc/sys/net, or the folder of namespaces, which was `absent`. */
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

/** The chain of our table that leads published ports to load balancers; its comments say which, to a later process and to other instances. */
export const PUBLISHED_CHAIN = "published";

/** What such a chain publishes, as `nft` lists it. */
export function readPublished(listing: string): readonly PublishedPort[] {
  return [...listing.matchAll(/comment "([\d.]+):(\d+) (vpc-\w+) ([\d.]+)"/g)].map(([, address = "", port = "", vpcId = "", target = ""]) => ({
    address,
    port: Number(port),
    vpcId,
    target,
  }));
}

/** Metric of the `unreachable` route beneath each VPC's: worse than any other. */
export const UNREACHABLE_METRIC = 4_278_198_272;

/** Our table on the host, whole, in one transaction. */
export function planHostTable(facts: HostFacts): string {
  const table = `inet ${hostTable(facts.instanceId)}`;
  const ours = `"${hostLinkPrefix(facts.instanceId)}*"`;
  const published = publishedIn(facts);
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
      // Linux answers at any link for the addresses of all: Tidegate's own ends of the links are for the VPCs and the host alone.
      `iifname != "lo" iifname != ${ours} ip daddr { ${facts.vpcs.map((vpc) => vpc.link.hostAddress).join(", ")} } drop`,
    ]),
    chain(PUBLISHED_CHAIN, published.map(publishedRule)),
    chain("translate", [
      "type nat hook prerouting priority dstnat; policy accept;",
      // What comes by a link and says that it goes to loopback is a forgery.
      ...(published.length === 0 ? [] : [`ip daddr != 127.0.0.0/8 jump ${PUBLISHED_CHAIN}`]),
      ...facts.vpcs.flatMap((vpc) => translations(facts, vpc.vpcId, vpc.link)),
    ]),
    // Clients on the host itself.
    ...(published.length === 0 ? [] : [chain("translate-own", ["type nat hook output priority -100; policy accept;", `jump ${PUBLISHED_CHAIN}`])]),
    chain("leave", [
      "type nat hook postrouting priority srcnat; policy accept;",
      // Published ports: answers to loopback, and to tasks that ask by the host's address, must come back this way. Everybody else is seen as who they are.
      ...(published.length === 0 ? [] : facts.vpcs).map((vpc) => `oifname ${ours} ct status dnat ip saddr { 127.0.0.0/8, ${vpc.cidr} } masquerade`),
      ...facts.vpcs.map((vpc) => `ip saddr { ${vpc.cidr}, ${vpc.link.cidr} } oifname != { "lo" } oifname != "tg*" masquerade`),
    ]),
    chain("input", [
      "type filter hook input priority filter; policy accept;",
      `iifname != ${ours} accept`,
      "ct state established,related accept",
      "ct status dnat accept",
      ...facts.vpcs.map((vpc) => {
        const ports = [...new Set([facts.ports.apiPort, facts.ports.metadataPort, facts.ports.kubeletPort])].join(", ");
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
      ...published.map(({ vpcId, port, target }) => {
        const link = hostLinkName(facts.instanceId, vpcId);
        return `oifname "${link}" ct status dnat ip daddr ${target} tcp dport ${port} ct original proto-dst ${port} accept`;
      }),
      `oifname ${ours} drop`,
      `iifname ${ours} oifname "tg*" drop`,
      `iifname ${ours} tcp flags syn / syn,rst tcp option maxseg size set rt mtu`,
    ]),
    "}",
  ]);
}

/** Those that lead somewhere: a VPC that is gone has no link. */
function publishedIn({ published = [], vpcs }: HostFacts): readonly PublishedPort[] {
  return published.filter(({ vpcId }) => vpcs.some((vpc) => vpc.vpcId === vpcId));
}

function publishedRule({ address, port, vpcId, target }: PublishedPort): string {
  // Link-local addresses are the ends of our links, where Tidegate itself listens.
  const to = address === "0.0.0.0" ? "fib daddr type local ip daddr != 169.254.0.0/16" : `ip daddr ${address}`;
  return `${to} tcp dport ${port} dnat ip to ${target} comment "${address}:${port} ${vpcId} ${target}"`;
}

function translations(facts: HostFacts, vpcId: string, link: HostLink): string[] {
  const from = `iifname "${hostLinkName(facts.instanceId, vpcId)}" ip daddr ${link.hostAddress}`;
  const { apiPort, metadataPort, kubeletPort, hostPorts } = facts.ports;
  const open = hostPorts.filter((port) => ![apiPort, metadataPort, kubeletPort].includes(port));
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
          // Published ports; our table knows which.
          { chain: forward, rule: ["-o", links, "-m", "conntrack", "--ctstate", "DNAT", ...comment, "-j", "ACCEPT"] },
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
