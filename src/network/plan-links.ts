/** Links, addresses and routes of a VPC's namespace and of the tasks in it, as `ip -batch` lines. Pure. */
import { addressAt, parseCidr } from "./cidr.ts";
import { RESOLVER_ADDRESS, TASK_LINK, UPLINK, eniLinkName } from "./object-names.ts";
import type { EniRecord } from "./records.ts";
import type { VpcFacts } from "./vpc-facts.ts";

/** What `ip -j address` and `ip -j route` say of a VPC's namespace. */
export interface ObservedNetns {
  /** Names of links, without `lo`. */
  readonly links: readonly string[];
  /** Addresses of `lo`, without 127.0.0.1. */
  readonly localAddresses: readonly string[];
  /** Destinations of /32 routes, by link. */
  readonly hostRoutes: readonly { readonly address: string; readonly link: string }[];
}

export interface NetnsPlan {
  /** Links that no interface owns; one may vanish by itself, with its task's namespace. */
  readonly deleteLinks: readonly string[];
  /** Lines for `ip -batch` in the VPC's namespace. */
  readonly batch: readonly string[];
  /** Interfaces whose link is missing or half made: to be plugged again. */
  readonly replug: readonly EniRecord[];
  /** Interfaces that are as they should be, those on `lo` included once the batch ran. */
  readonly whole: readonly EniRecord[];
}

/** Kernel settings of a VPC's namespace, by path under /proc/sys/net; new links take `default`. */
export const VPC_SYSCTLS: Readonly<Record<string, string>> = {
  "ipv4/ip_forward": "1",
  "ipv4/conf/all/forwarding": "1",
  "ipv4/conf/default/forwarding": "1",
  // A packet whose source is not the interface's own address is dropped.
  "ipv4/conf/all/rp_filter": "1",
  "ipv4/conf/default/rp_filter": "1",
  "ipv4/conf/all/send_redirects": "0",
  "ipv4/conf/default/send_redirects": "0",
  "ipv6/conf/all/disable_ipv6": "1",
  "ipv6/conf/default/disable_ipv6": "1",
};

/** Addresses on the VPC's `lo`: each subnet's router, the resolver, the load balancers. */
export function localAddresses(facts: VpcFacts): string[] {
  const routers = facts.subnets.map((subnet) => addressAt(subnet.cidr, 1));
  const balancers = facts.enis.filter((eni) => eni.local).map((eni) => eni.privateIpv4);
  return [...new Set([addressAt(facts.vpc.cidr, 2), RESOLVER_ADDRESS, ...routers, ...balancers])];
}

/** Brings the namespace from what was observed to what the records say; nothing when they agree. */
export function planNetns(facts: VpcFacts, observed: ObservedNetns): NetnsPlan {
  const wanted = localAddresses(facts);
  const plugged = facts.enis.filter((eni) => !eni.local && eni.netnsPath !== undefined);
  const whole = plugged.filter((eni) => isWhole(eni, observed));
  const keep = new Set([UPLINK, ...whole.map((eni) => eniLinkName(eni.eniId))]);
  const batch = [
    ...observed.localAddresses.filter((address) => !wanted.includes(address)).map((address) => `address del ${address}/32 dev lo`),
    ...wanted.filter((address) => !observed.localAddresses.includes(address)).map((address) => `address add ${address}/32 dev lo`),
  ];
  return {
    deleteLinks: observed.links.filter((link) => !keep.has(link)),
    batch,
    replug: plugged.filter((eni) => !whole.includes(eni)),
    whole: [...whole, ...facts.enis.filter((eni) => eni.local)],
  };
}

/** The /32 route is the last thing that a plug makes, so that it tells a whole one. */
function isWhole(eni: EniRecord, observed: ObservedNetns): boolean {
  const link = eniLinkName(eni.eniId);
  return observed.links.includes(link) && observed.hostRoutes.some((route) => route.link === link && route.address === eni.privateIpv4);
}

/**
 * In the task's namespace: makes the pair and sets up the task's end. The subnet is not on the link: all goes by the router, which is the
 * only neighbour, so that no ARP needs a proxy (whose answers the kernel delays by up to 0.8 s).
 */
export function planTaskEnd(eni: EniRecord, subnetCidr: string, vpcNetns: string): string {
  const router = addressAt(subnetCidr, 1);
  return lines([
    `link add name ${TASK_LINK} address ${eni.macAddress} type veth peer name ${eniLinkName(eni.eniId)} netns ${vpcNetns}`,
    `address add ${eni.privateIpv4}/${parseCidr(subnetCidr).prefix} dev ${TASK_LINK} noprefixroute`,
    "link set lo up",
    `link set ${TASK_LINK} up`,
    `route add ${router} dev ${TASK_LINK} scope link src ${eni.privateIpv4}`,
    `route add default via ${router} dev ${TASK_LINK} src ${eni.privateIpv4}`,
  ]);
}

/** In the VPC's namespace, once the interface is in its groups' sets: lets traffic begin. */
export function planVpcEnd(eni: EniRecord): string {
  const link = eniLinkName(eni.eniId);
  return lines([`link set ${link} up`, `route replace ${eni.privateIpv4}/32 dev ${link}`]);
}

/** The VPC end of the veth to the host, and what routes by it. */
export function planUplink(facts: VpcFacts): string {
  const { vpc } = facts;
  return lines([
    "link set lo up",
    `address replace ${vpc.link.vpcAddress}/30 dev ${UPLINK}`,
    `link set ${UPLINK} up`,
    `route replace default via ${vpc.link.hostAddress} dev ${UPLINK}`,
    // An address that nobody has must not leave by the default route.
    `route replace blackhole ${vpc.cidr} metric 4278198272`,
  ]);
}

function lines(parts: readonly string[]): string {
  return parts.map((part) => `${part}\n`).join("");
}
