/** HAProxy's listeners and servers, and the daemons, beside what the store says. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../../../src/contracts/store.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { findMarkedProcesses } from "../../../src/daemons/proc.ts";
import { createRuntimeClient } from "../../../src/loadbalancer/haproxy/runtime-client.ts";
import { parseServerStats } from "../../../src/loadbalancer/haproxy/stats.ts";
import { openServerName } from "../../../src/loadbalancer/config/proxy-model.ts";
import { planProxy } from "../../../src/loadbalancer/plan-proxy.ts";
import { loadBalancerRecords } from "../../../src/loadbalancer/records.ts";
import { readVpc } from "../../../src/loadbalancer/vpc-records.ts";
import { resolverDaemonName } from "../../../src/network/vpc-resolver.ts";
import { VPCS } from "../../../src/network/records.ts";
import { isActive } from "../../../src/network/vpc-facts.ts";
import type { Expected } from "./lines.ts";

interface InstanceDaemons {
  readonly instanceId: string;
  readonly runDir: string;
}

/** VPCs with a load balancer that has an address. */
async function balancedVpcs(store: Store): Promise<readonly string[]> {
  return [...new Set((await store.list(loadBalancerRecords)).map(({ value }) => value.vpcId))];
}

export async function expectedProxies(store: Store, { instanceId }: InstanceDaemons): Promise<Expected> {
  const must: string[] = ["daemon containerd, recorded"];
  const resolvers = (await store.list(VPCS)).map(({ value }) => value).filter(isActive);
  must.push(...resolvers.map(({ vpcId }) => `daemon ${resolverDaemonName(vpcId)}, recorded`));
  for (const vpcId of await balancedVpcs(store)) {
    const model = planProxy(await readVpc(store, vpcId), { owner: "", instanceId, socketPath: "", stateFile: "" });
    if (model.frontends.length === 0) continue;
    must.push(`daemon haproxy-${vpcId}, recorded`);
    must.push(...model.frontends.map(({ id }) => `${vpcId} listener ls-${id}`));
    const inUse = (backend: string, server: string): readonly string[] =>
      [server, openServerName(server)].map((name) => `${vpcId} server ${backend}/${name}, in use`);
    must.push(...model.backends.flatMap(({ name, servers }) => servers.flatMap((server) => inUse(name, server.name))));
  }
  // One that has no listener any more stays until its load balancer goes.
  const may = (await balancedVpcs(store)).map((vpcId) => `daemon haproxy-${vpcId}, recorded`);
  return { must, may };
}

export async function observedProxies(store: Store, instance: InstanceDaemons): Promise<readonly string[]> {
  const proxies = await Promise.all((await balancedVpcs(store)).map((vpcId) => observedProxy(vpcId, instance)));
  return [...(await daemons(instance)), ...proxies.flat()];
}

async function observedProxy(vpcId: string, { runDir }: InstanceDaemons): Promise<readonly string[]> {
  const client = createRuntimeClient(join(runDir, `lb-${vpcId}.sock`), systemClock);
  const [fronts, servers] = await Promise.all(["show stat -1 1 -1", "show stat -1 4 -1"].map((command) => client.command(command).catch(() => "")));
  const listeners = (fronts ?? "").split("\n").flatMap((line) => (line.startsWith("ls-") ? [line.split(",")[0] ?? ""] : []));
  return [
    ...listeners.map((name) => `${vpcId} listener ${name}`),
    ...parseServerStats(servers ?? "")
      .filter(({ backend }) => backend.startsWith("tg-"))
      .map(({ backend, name, status }) => `${vpcId} server ${backend}/${name}, ${/^(MAINT|DRAIN)/.test(status) ? status : "in use"}`),
  ];
}

/** Daemons that run, each with whether the run folder has its record. A record without its process is one line too. */
async function daemons({ instanceId, runDir }: InstanceDaemons): Promise<readonly string[]> {
  const folder = join(runDir, "daemons");
  const records = await Promise.all(
    (await readdir(folder).catch(() => [])).map(async (file) => {
      const text = await readFile(join(folder, file), "utf8").catch(() => "{}");
      return { file, ...(JSON.parse(text) as { readonly pid?: number; readonly daemon?: string }) };
    }),
  );
  const running = findMarkedProcesses(instanceId);
  return [
    ...running.map(({ pid, daemon }) => `daemon ${daemon}, ${records.some((record) => record.pid === pid) ? "recorded" : "not recorded"}`),
    ...records.filter((record) => !running.some(({ pid }) => pid === record.pid)).map(({ file }) => `record ${file} of no daemon`),
  ];
}
