/** A VPC's resolver: its configuration and what it is told live. Pure. */
import { addressAt, hostLabel } from "./cidr.ts";
import { HOST_NAME, RESOLVER_ADDRESS, privateDomain } from "./object-names.ts";
import type { EniRecord, NamesRecord } from "./records.ts";
import type { ActiveVpc } from "./vpc-facts.ts";

/** Addresses by lower-case name without the last dot. */
export type NameTable = ReadonlyMap<string, readonly string[]>;

/** Seconds for which clients may keep an answer. */
const TTL_SECONDS = 60;

/** The private host name of an address, e.g. `ip-172-31-0-5.eu-west-1.compute.internal`. */
export function privateDnsName(address: string, region: string): string {
  return `${hostLabel(address)}.${privateDomain(region)}`;
}

/** All that a VPC's resolver answers by itself. Several owners of a name add up. */
export function namesOf(vpc: ActiveVpc, enis: readonly EniRecord[], names: readonly NamesRecord[]): NameTable {
  const table = new Map<string, string[]>([[HOST_NAME, [vpc.link.hostAddress]]]);
  const add = (name: string, addresses: readonly string[]): void => {
    const key = normalName(name);
    table.set(key, [...new Set([...(table.get(key) ?? []), ...addresses])].sort());
  };
  for (const eni of enis) add(privateDnsName(eni.privateIpv4, vpc.region), [eni.privateIpv4]);
  for (const record of names.filter((candidate) => candidate.vpcId === vpc.vpcId).flatMap((candidate) => candidate.records)) {
    if (record.addresses.length > 0) add(record.name, record.addresses);
  }
  return table;
}

export function normalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** What to tell the resolver so that it answers `wanted` instead of `known`: names to forget first, then records to add. */
export function planNameChanges(known: NameTable, wanted: NameTable): { readonly forget: readonly string[]; readonly add: readonly string[] } {
  const same = (name: string): boolean => wanted.get(name)?.join() === known.get(name)?.join();
  // A record can only be added, or all of a name's removed: a name that just grows is never without an answer.
  const grows = (name: string): boolean => wanted.has(name) && (known.get(name) ?? []).every((address) => wanted.get(name)?.includes(address));
  const forget = [...known.keys()].filter((name) => !same(name) && !grows(name));
  const add = [...wanted]
    .filter(([name]) => !same(name))
    .flatMap(([name, addresses]) => addresses.map((address) => `${name}. ${TTL_SECONDS} IN A ${address}`));
  return { forget, add };
}

/** Reads what unbound's `list_local_data` printed: address records, without those it has built in. */
export function parseLocalData(text: string): NameTable {
  const table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [name = "", , , type, address = ""] = line.split(/\s+/);
    if (type !== "A" || normalName(name) === "localhost") continue;
    table.set(normalName(name), [...(table.get(normalName(name)) ?? []), address].sort());
  }
  return table;
}

export interface ResolverPlan {
  readonly vpc: ActiveVpc;
  readonly controlSocket: string;
  /** A user of the host's to run as. */
  readonly user?: string;
}

/** unbound's configuration. All names but ours are refused until it is told, live, whom to ask. */
export function planResolverConfig(plan: ResolverPlan): string {
  const { vpc, controlSocket, user } = plan;
  const zones = [privateDomain(vpc.region), "tidegate.internal"];
  return [
    "server:",
    `  interface: ${addressAt(vpc.cidr, 2)}`,
    `  interface: ${RESOLVER_ADDRESS}`,
    // Who may ask is decided by the VPC's rules.
    "  access-control: 0.0.0.0/0 allow",
    "  do-daemonize: no",
    "  do-ip6: no",
    `  username: "${user ?? ""}"`,
    '  chroot: ""',
    '  directory: ""',
    '  pidfile: ""',
    "  use-syslog: no",
    '  logfile: ""',
    "  verbosity: 0",
    '  module-config: "iterator"',
    "  num-threads: 1",
    "  msg-cache-size: 2m",
    "  rrset-cache-size: 4m",
    "  cache-max-negative-ttl: 5",
    "  hide-identity: yes",
    "  hide-version: yes",
    "  do-not-query-localhost: no",
    // Names of ours are ours alone: what is not there does not exist.
    ...zones.map((zone) => `  local-zone: "${zone}." static`),
    '  local-zone: "." refuse',
    "remote-control:",
    "  control-enable: yes",
    "  control-use-cert: no",
    `  control-interface: ${controlSocket}`,
    "",
  ].join("\n");
}

/** The IPv4 name servers of a resolv.conf. */
export function parseNameservers(text: string): readonly string[] {
  return text.split("\n").flatMap((line) => /^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/.exec(line)?.[1] ?? []);
}
