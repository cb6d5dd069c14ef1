/**
 * Virtual addresses, as nftables text. Pure. One `ip` table in the namespace of each interface that has them:
 *
 * - a map `ports` leads a destination's address, protocol and port to the chain of its backends, in `output`, where the interface's own
 *   programs send from: what leaves the namespace goes to a backend already, so that groups and routes see the true connection;
 * - what is in the block after that has no backend, or is no port at all: it is refused at once, as is what is in the set `refused`;
 * - a chain's name says what is in it, so that a change is told by names: chains that stay are not touched, and neither is what affinity
 *   remembers; and an empty chain bears the whole table's version, for whoever comes to it without knowing what is there.
 */
import { createHash } from "node:crypto";
import type { VirtualAddresses, VirtualPort } from "../contracts/network.ts";

export const SERVICES_TABLE = "tidegate-services";
const T = `ip ${SERVICES_TABLE}`;
/** Clients of one affinity; there is one, unless a program sends from another address. */
const AFFINITY_SIZE = 1024;

/** What is in the table beside the fixed chains; each part under a name or text that says it all. */
export interface ServicesRuleset {
  readonly version: string;
  readonly cidr: string;
  readonly sets: ReadonlyMap<string, string>;
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** `address . protocol . port` to the name of its chain. */
  readonly ports: ReadonlyMap<string, string>;
  /** Of the same form. */
  readonly refused: ReadonlySet<string>;
}

/** Of ports that are there twice the first counts. */
export function servicesRuleset({ cidr, ports }: VirtualAddresses): ServicesRuleset {
  const made = {
    sets: new Map<string, string>(),
    chains: new Map<string, readonly string[]>(),
    ports: new Map<string, string>(),
    refused: new Set<string>(),
  };
  for (const port of ports) {
    const key = `${port.address} . ${port.protocol} . ${port.port}`;
    if (made.ports.has(key) || made.refused.has(key)) continue;
    if (port.backends.length === 0) made.refused.add(key);
    else made.ports.set(key, addChains(made, key, port));
  }
  const version = digestOf([cidr, ...[...made.ports].map((pair) => pair.join(" ")).sort(), ...[...made.refused].sort()].join("\n"));
  return { version, cidr, ...made };
}

export function versionChain({ version }: Pick<ServicesRuleset, "version">): string {
  return `version-${version}`;
}

interface Parts {
  readonly sets: Map<string, string>;
  readonly chains: Map<string, readonly string[]>;
}

/** Answers the name of the chain that leads to the port's backends. */
function addChains({ sets, chains }: Parts, key: string, { protocol, backends, affinitySeconds, onlyItself = false }: VirtualPort): string {
  const inOrder = [...new Set(backends.map(({ address, port }) => `${address}:${port}`))].sort();
  const to = (backend: string): string => `meta l4proto ${protocol} dnat to ${backend}`;
  const add = (kind: string, rules: readonly string[]): string => {
    const name = `${kind}-${digestOf(rules.join("\n"))}`;
    chains.set(name, rules);
    return name;
  };
  if (onlyItself)
    return add(
      "itself",
      inOrder.map((backend) => `ip saddr ${backend.split(":")[0]} ${to(backend)}`),
    );
  if (affinitySeconds === undefined) {
    const [only = "", ...others] = inOrder;
    if (others.length === 0) return add("to", [to(only)]);
    const elements = inOrder.map((backend, index) => `${index} : ${backend.replace(":", " . ")}`).join(", ");
    return add("to", [`meta l4proto ${protocol} dnat ip addr . port to numgen random mod ${inOrder.length} map { ${elements} }`]);
  }
  const remembered = inOrder.map((backend) => {
    const set = `clients-${digestOf([key, backend, affinitySeconds].join("\n"))}`;
    sets.set(set, `type ipv4_addr; size ${AFFINITY_SIZE}; flags dynamic,timeout; timeout ${affinitySeconds}s;`);
    return { set, chain: add("to", [`update @${set} { ip saddr }`, to(backend)]) };
  });
  const elements = remembered.map(({ chain }, index) => `${index} : goto ${chain}`).join(", ");
  return add("affine", [
    ...remembered.map(({ set, chain }) => `ip saddr @${set} goto ${chain}`),
    remembered.length === 1 ? `goto ${remembered[0]?.chain}` : `numgen random mod ${remembered.length} vmap { ${elements} }`,
  ]);
}

/** The whole table, replacing what is there in one transaction. */
export function planServices(ruleset: ServicesRuleset): string {
  const { sets, chains, ports, refused, cidr } = ruleset;
  return lines([
    `table ${T} {}`,
    `delete table ${T}`,
    `table ${T} {`,
    ...[...sets].map(([name, declaration]) => `  set ${name} { ${declaration} }`),
    ...inOrderOfUse(chains).map(([name, rules]) => chain(name, rules)),
    `  map ports { type ipv4_addr . inet_proto . inet_service : verdict; ${elements([...ports].map(([key, name]) => `${key} : goto ${name}`))} }`,
    `  set refused { type ipv4_addr . inet_proto . inet_service; ${elements([...refused])} }`,
    chain("translate", ["type nat hook output priority -100; policy accept;", "ip daddr . meta l4proto . th dport vmap @ports"]),
    chain("rejected", ["meta l4proto tcp reject with tcp reset", "reject"]),
    chain("refuse", [
      "type filter hook output priority filter; policy accept;",
      "ip daddr . meta l4proto . th dport @refused goto rejected",
      `ip daddr ${cidr} goto rejected`,
    ]),
    chain(versionChain(ruleset), []),
    "}",
  ]);
}

/** From one table to another of the same block, in one transaction; empty where they are the same. */
export function planServicesChange(from: ServicesRuleset, to: ServicesRuleset): string {
  if (from.version === to.version) return "";
  const newSets = [...to.sets].filter(([name]) => !from.sets.has(name));
  const newChains = inOrderOfUse(to.chains).filter(([name]) => !from.chains.has(name));
  const oldChains = inOrderOfUse(from.chains).filter(([name]) => !to.chains.has(name));
  const oldSets = [...from.sets.keys()].filter((name) => !to.sets.has(name));
  const oldPorts = [...from.ports].filter(([key, name]) => to.ports.get(key) !== name).map(([key, name]) => `${key} : goto ${name}`);
  const newPorts = [...to.ports].filter(([key, name]) => from.ports.get(key) !== name).map(([key, name]) => `${key} : goto ${name}`);
  const element = (verb: string, name: string, which: readonly string[]): string[] =>
    which.length === 0 ? [] : [`${verb} element ${T} ${name} { ${which.join(", ")} }`];
  return lines([
    ...newSets.map(([name, declaration]) => `add set ${T} ${name} { ${declaration} }`),
    ...newChains.flatMap(([name, rules]) => [`add chain ${T} ${name}`, ...rules.map((rule) => `add rule ${T} ${name} ${rule}`)]),
    ...element("delete", "ports", oldPorts),
    ...element("add", "ports", newPorts),
    ...element(
      "delete",
      "refused",
      [...from.refused].filter((key) => !to.refused.has(key)),
    ),
    ...element(
      "add",
      "refused",
      [...to.refused].filter((key) => !from.refused.has(key)),
    ),
    // Those that lead to others first.
    ...oldChains.toReversed().map(([name]) => `flush chain ${T} ${name}`),
    ...oldChains.toReversed().map(([name]) => `delete chain ${T} ${name}`),
    ...oldSets.map((name) => `delete set ${T} ${name}`),
    `add chain ${T} ${versionChain(to)}`,
    `delete chain ${T} ${versionChain(from)}`,
  ]);
}

/** Chains that others lead to come before those. */
function inOrderOfUse(chains: ReadonlyMap<string, readonly string[]>): readonly (readonly [string, readonly string[]])[] {
  return [...chains].toSorted(([a], [b]) => Number(a.startsWith("affine-")) - Number(b.startsWith("affine-")));
}

function elements(which: readonly string[]): string {
  return which.length === 0 ? "" : `elements = { ${which.join(", ")} }`;
}

function chain(name: string, content: readonly string[]): string {
  return [`  chain ${name} {`, ...content.map((line) => `    ${line}`), "  }"].join("\n");
}

function lines(parts: readonly string[]): string {
  return parts.map((part) => `${part}\n`).join("");
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
