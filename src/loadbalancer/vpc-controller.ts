import { isDeepStrictEqual } from "node:util";
import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import type { LoadBalancerStatus } from "../contracts/load-balancing.ts";
import type { Change, Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import { PresentTimes } from "../core/present-times.ts";
import { Problem } from "../core/problem.ts";
import { haproxyConfig } from "./config/haproxy-config.ts";
import type { ProxyModel } from "./config/proxy-model.ts";
import { serverStateFile } from "./config/server-state.ts";
import { type Drain, finishDrains, type ProxyView } from "./drains.ts";
import { convergeCurrent, path } from "./haproxy/live-servers.ts";
import type { ProxyProcess, Worker } from "./haproxy/proxy-process.ts";
import type { ServerStats } from "./haproxy/stats.ts";
import { planProxy, type ProxyPlace } from "./plan-proxy.ts";
import type { Provisioner } from "./provision.ts";
import { conditionsOf, judgeAll, recordHealth } from "./record-health.ts";
import { keyOfArn, listenerRecords, loadBalancerRecords, loadBalancerStatuses, ruleRecords, targetGroupRecords, targetRecords } from "./records.ts";
import { readVpc, type VpcRecords } from "./vpc-records.ts";

const DRAIN_LOOK_MS = 1_000;

export interface VpcControllerOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly provisioner: Provisioner;
  /** The VPC's HAProxy; always the same object for a VPC. */
  proxyOf(vpcId: string): { readonly process: ProxyProcess; readonly place: ProxyPlace };
  sources(wake: (vpcId: string) => void): Disposable;
  /** There is no data plane (the simulated engine has no network): no HAProxy runs, and every target in use is healthy. */
  readonly isSimulated?: boolean;
}

/** Keeps each VPC's load balancers what their records say. Key: the VPC's id. */
export function createVpcController(options: VpcControllerOptions): Controller {
  const { store, clock } = options;
  const times = new PresentTimes(clock);
  const isDue = (untilMs: number): boolean => clock.nowMs() >= times.of(untilMs);
  const keysOf = (change: Change<{ readonly vpcId: string }>): readonly string[] => [(change.value ?? change.previous)?.vpcId ?? ""];
  return {
    name: "loadbalancer-vpc",
    watches: [loadBalancerRecords, listenerRecords, ruleRecords, targetGroupRecords, targetRecords].map((collection) => ({ collection, keysOf })),
    sources: (wake) => options.sources(wake),
    async initialKeys() {
      const lists = await Promise.all([store.list(loadBalancerRecords), store.list(targetRecords)]);
      return [...new Set(lists.flat().map(({ value }) => value.vpcId))];
    },
    reconcile: (vpcId) => reconcileVpc(vpcId, { ...options, isDue }),
  };
}

async function reconcileVpc(vpcId: string, options: VpcControllerOptions & Pick<Drain, "isDue">): Promise<ReconcileResult> {
  const { store, provisioner, isDue } = options;
  const { process, place } = options.proxyOf(vpcId);
  const records = await provisionAll(await readVpc(store, vpcId), options);
  const model = planProxy(records, place);
  const going = records.balancers.filter(({ deleting }) => deleting);
  const isUsed = going.length < records.balancers.length;
  const proxy = options.isSimulated ? NO_PROXY : isUsed ? await convergeProxy({ process, model, records }) : await stopProxy(process);
  for (const balancer of going) await provisioner.remove(balancer);
  const pending = await finishDrains({ records, proxy, store, isDue });
  const servers = options.isSimulated ? allHealthy(model) : (proxy.current?.servers ?? []);
  const healths = await recordHealth({ records, model, servers, store });
  if (proxy.current !== undefined) await process.writeState(serverStateFile(model, conditionsOf(records, healths)));
  return pending || proxy.leftOver > 0 ? { requeueAfterMs: DRAIN_LOOK_MS } : {};
}

const NO_PROXY: ProxyView = { current: undefined, settled: new Set(), leaving: [], leftOver: 0 };

function allHealthy(model: ProxyModel): readonly ServerStats[] {
  return model.backends.flatMap(({ name: backend, servers }) =>
    servers.map(({ name }) => ({ backend, name, status: "UP", checkStatus: "L7OK", checkCode: "200", open: 0 })),
  );
}

/** The records with the statuses of load balancers as they are after provisioning. */
async function provisionAll(records: VpcRecords, { store, provisioner }: VpcControllerOptions): Promise<VpcRecords> {
  const statuses = new Map(records.statuses);
  for (const balancer of records.balancers.filter(({ deleting }) => !deleting)) {
    const before = statuses.get(balancer.arn);
    const after = await provisioner.provision(balancer, before);
    if (!isDeepStrictEqual(statusOf(before), statusOf(after))) {
      await store.transact([
        { op: "put", collection: loadBalancerStatuses, key: keyOfArn(balancer.arn), value: { ...after, vpcId: balancer.vpcId } },
      ]);
    }
    statuses.set(balancer.arn, after);
  }
  return { ...records, statuses };
}

function statusOf(status: LoadBalancerStatus | undefined): unknown {
  return [status?.state, status?.reason, status?.addresses];
}

async function stopProxy(process: ProxyProcess): Promise<ProxyView> {
  await process.remove();
  return NO_PROXY;
}

async function convergeProxy({
  process,
  model,
  records,
}: {
  readonly process: ProxyProcess;
  readonly model: ProxyModel;
  readonly records: VpcRecords;
}): Promise<ProxyView> {
  const before = await process.current();
  if (before === undefined && model.frontends.length === 0) return NO_PROXY;
  const judged = judgeAll(records, { model, servers: before?.servers ?? [] });
  await process.apply({ ...haproxyConfig(model), state: serverStateFile(model, conditionsOf(records, judged)) });
  const applied = await process.current();
  if (applied === undefined) throw new Problem("unavailable", `HAProxy of ${records.vpcId} does not answer`);
  const { leftOver } = await convergeCurrent(applied, model);
  const current = await process.current();
  const leaving = await process.leaving();
  return { current, settled: maintained(applied), leaving, leftOver };
}

/** Servers that had been taken out before this look, so that what another thread was just giving them is counted as open by now. */
function maintained(worker: Worker): ReadonlySet<string> {
  return new Set(worker.servers.filter(({ status }) => status.startsWith("MAINT")).map((server) => path(server.backend, server.name)));
}
