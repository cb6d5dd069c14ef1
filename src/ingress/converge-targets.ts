import type { ClusterObjects } from "./cluster-objects.ts";
import { planTargets } from "./plan-targets.ts";
import { gateCondition, hasGate } from "./readiness.ts";
import type { DeployedGroup } from "./records.ts";
import type { IngressRoom } from "./room.ts";

const SERVICE_LABEL = "kubernetes.io/service-name";

/** Registers the endpoints of each group's service, takes out those that go, and tells waiting pods how their targets are. Level-triggered. */
export async function convergeTargets(
  room: IngressRoom,
  { objects, groups }: { readonly objects: ClusterObjects; readonly groups: readonly DeployedGroup[] },
): Promise<void> {
  const { balancing } = room.ports.elbv2;
  for (const { arn, name, source } of groups) {
    const slices = objects.slices
      .list()
      .filter(({ metadata }) => metadata?.namespace === source.namespace && metadata.labels?.[SERVICE_LABEL] === source.service);
    const endpoints = planTargets({ name, source, slices, pod: (uid) => objects.pods.get(uid) });
    const wanted = endpoints.filter((endpoint) => endpoint.wanted);
    const before = await balancing.targetHealth(arn);
    const isWanted = (target: { readonly ip: string; readonly port: number }): boolean =>
      wanted.some(({ ip, port }) => ip === target.ip && port === target.port);
    const gone = before.filter((target) => target.state !== "draining" && !isWanted(target));
    const fresh = wanted.filter(({ ip, port }) => !before.some((known) => known.ip === ip && known.port === port && known.state !== "draining"));
    if (gone.length > 0)
      await balancing.deregisterTargets(
        arn,
        gone.map(({ ip, port }) => ({ ip, port })),
      );
    if (fresh.length > 0)
      await balancing.registerTargets(
        arn,
        fresh.map(({ ip, port }) => ({ ip, port })),
      );
    const waiting = endpoints.filter(({ pod }) => pod !== undefined && hasGate(pod, name));
    if (waiting.length === 0) continue;
    const after = await balancing.targetHealth(arn);
    for (const { ip, port, pod } of waiting) {
      if (pod === undefined || pod.metadata?.deletionTimestamp !== undefined) continue;
      const condition = gateCondition(
        pod,
        name,
        after.find((health) => health.ip === ip && health.port === port),
        room.clock.nowMs(),
      );
      if (condition !== undefined) await objects.setCondition(pod, condition);
    }
  }
}
