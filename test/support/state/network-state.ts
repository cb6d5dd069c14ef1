/** The VPCs' namespaces, links, routes, rules and names, beside what the store says. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../../../src/contracts/store.ts";
import { run } from "../../../src/host/run.ts";
import { NetworkModel } from "../../../src/network/model.ts";
import {
  KUBELET_PORT,
  METADATA_PORT,
  UPLINK,
  eniLinkName,
  hostLinkName,
  hostLinkPrefix,
  hostTable,
  netnsName,
  netnsPrefix,
  shortId,
} from "../../../src/network/object-names.ts";
import { namesOf, parseLocalData } from "../../../src/network/plan-dns.ts";
import { planConnectionLimit, planVpcTable } from "../../../src/network/plan-filter.ts";
import { localAddresses } from "../../../src/network/plan-links.ts";
import { unboundControl } from "../../../src/network/unbound-control.ts";
import { isActive, type ActiveVpc, type VpcFacts } from "../../../src/network/vpc-facts.ts";
import { nftList } from "./nft-rules.ts";
import type { Expected } from "./lines.ts";

interface InstanceNetwork {
  readonly instanceId: string;
  readonly runDir: string;
  readonly port: number;
}

interface Vpcs {
  readonly model: NetworkModel;
  readonly active: readonly ActiveVpc[];
  readonly factsOf: (vpc: ActiveVpc) => VpcFacts;
}

async function vpcsOf(store: Store, instance: InstanceNetwork): Promise<Vpcs> {
  const model = new NetworkModel(store);
  await model.load();
  const ports = { apiPort: instance.port, metadataPort: METADATA_PORT, kubeletPort: KUBELET_PORT, hostPorts: [] };
  return {
    model,
    active: model.vpcs.all().filter(isActive),
    factsOf: (vpc) => ({
      vpc,
      subnets: model.subnetsOf(vpc.vpcId),
      groups: model.groupsOf(vpc.vpcId),
      enis: model.enisOf(vpc.vpcId),
      routeTables: model.routeTablesOf(vpc.vpcId),
      ports,
    }),
  };
}

/** What the network's records ask for. The rules are those that the kernel lists after the records' table was loaded into an empty namespace. */
export async function expectedNetwork(store: Store, instance: InstanceNetwork): Promise<Expected> {
  const { model, active, factsOf } = await vpcsOf(store, instance);
  const { instanceId } = instance;
  const must = [`host's table ${hostTable(instanceId)}`];
  for (const vpc of active) {
    const facts = factsOf(vpc);
    const { vpcId } = vpc;
    must.push(`namespace ${netnsName(instanceId, vpcId)}`, `host's link ${hostLinkName(instanceId, vpcId)}`);
    must.push(`host's route ${vpc.cidr} dev ${hostLinkName(instanceId, vpcId)}`, `host's route ${vpc.cidr} unreachable`);
    must.push(...localAddresses(facts).map((address) => `${vpcId} address ${address}`), `${vpcId} link ${UPLINK}`);
    for (const eni of facts.enis.filter(({ local, netnsPath }) => !local && netnsPath !== undefined)) {
      must.push(`${vpcId} link ${eniLinkName(eni.eniId)}`, `${vpcId} route ${eni.privateIpv4} dev ${eniLinkName(eni.eniId)}`);
    }
    must.push(...(await nftList({ text: planVpcTable(facts) + planConnectionLimit() })).map((line) => `${vpcId} ${line}`));
    for (const [name, addresses] of namesOf(vpc, facts.enis, model.names.all())) must.push(`${vpcId} name ${name} ${addresses.join()}`);
  }
  for (const { records, host } of model.names.all()) {
    if (host) must.push(...records.flatMap(({ name, addresses }) => addresses.map((address) => `/etc/hosts ${address} ${name}`)));
  }
  return { must };
}

export async function observedNetwork(store: Store, instance: InstanceNetwork): Promise<readonly string[]> {
  const { active } = await vpcsOf(store, instance);
  const inVpcs = await Promise.all(active.map((vpc) => observedVpc(vpc, instance).catch((error: unknown) => [`${vpc.vpcId}: ${String(error)}`])));
  return [...(await observedHost(active, instance.instanceId)), ...inVpcs.flat()];
}

async function observedHost(active: readonly ActiveVpc[], instanceId: string): Promise<readonly string[]> {
  const [namespaces, links, routes, tables, hosts] = await Promise.all([
    run(["ip", "netns", "list"]),
    ipJson<{ readonly ifname: string }>("link", "show", "type", "veth"),
    ipJson<IpRoute>("-4", "route", "show"),
    run(["nft", "list", "tables", "inet"]),
    readFile("/etc/hosts", "utf8"),
  ]);
  const cidrs = new Set(active.map(({ cidr }) => cidr));
  const prefix = hostLinkPrefix(instanceId);
  const block = new RegExp(`^# tidegate ${instanceId} begin.*\n([^]*?)^# tidegate ${instanceId} end`, "m").exec(hosts)?.[1] ?? "";
  return [
    ...namespaces.stdout.split("\n").flatMap((line) => (line.startsWith(netnsPrefix(instanceId)) ? [`namespace ${line.split(" ")[0]}`] : [])),
    ...links.flatMap(({ ifname }) => (ifname.startsWith(prefix) ? [`host's link ${ifname}`] : [])),
    ...routes.flatMap(({ dst, dev = "", type }) => {
      if (type === "unreachable") return cidrs.has(dst) ? [`host's route ${dst} unreachable`] : [];
      return cidrs.has(dst) && dev.startsWith(prefix) ? [`host's route ${dst} dev ${dev}`] : [];
    }),
    ...tables.stdout.split("\n").flatMap((line) => (line === `table inet ${hostTable(instanceId)}` ? [`host's table ${hostTable(instanceId)}`] : [])),
    ...block.split("\n").flatMap((line) => (line === "" ? [] : [`/etc/hosts ${line}`])),
  ];
}

async function observedVpc(vpc: ActiveVpc, { instanceId, runDir }: InstanceNetwork): Promise<readonly string[]> {
  const { vpcId } = vpc;
  const netns = netnsName(instanceId, vpcId);
  const [addresses, routes, rules, names] = await Promise.all([
    ipJson<IpAddress>("-n", netns, "address", "show"),
    ipJson<IpRoute>("-n", netns, "-4", "route", "show"),
    nftList({ netns }),
    unboundControl(join(runDir, `dns-${shortId(vpcId)}.sock`), "list_local_data").then(parseLocalData),
  ]);
  const local = addresses.find(({ ifname }) => ifname === "lo")?.addr_info ?? [];
  return [
    ...local.flatMap(({ family, local: address = "" }) => (family === "inet" && !address.startsWith("127.") ? [`address ${address}`] : [])),
    ...addresses.flatMap(({ ifname }) => (ifname === UPLINK || ifname.startsWith("eni") ? [`link ${ifname}`] : [])),
    ...routes.flatMap(({ dst, dev }) => (dev !== undefined && dst !== "default" && !dst.includes("/") ? [`route ${dst} dev ${dev}`] : [])),
    ...rules,
    ...[...names].map(([name, of]) => `name ${name} ${of.join()}`),
  ].map((line) => `${vpcId} ${line}`);
}

interface IpAddress {
  readonly ifname: string;
  readonly addr_info: readonly { readonly family?: string; readonly local?: string }[];
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly type?: string;
}

async function ipJson<T>(...args: readonly string[]): Promise<readonly T[]> {
  const { stdout } = await run(["ip", "-j", ...args]);
  return stdout.trim() === "" ? [] : (JSON.parse(stdout) as readonly T[]);
}
