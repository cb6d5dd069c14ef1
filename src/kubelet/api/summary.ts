import type { ContainerStats } from "../../contracts/engine.ts";
import type { NodeUsage } from "./resource-metrics.ts";

export interface SummaryParts extends NodeUsage {
  readonly nodeName: string;
  readonly podUid: string;
  readonly podStartedAtMs: number;
  /** How fast a container (by name; "": all together) has used CPU lately, in billionths of a CPU; `undefined` at the first look. */
  readonly nanoCores: (container: string) => number | undefined;
}

/** `/stats/summary`: CPU and memory of the node, which are its pod's, and of each container. Differs: no network, no file systems. Pure. */
export function statsSummary(parts: SummaryParts): unknown {
  const { nodeName, namespace, pod, podUid, podStartedAtMs, whole, containers, nanoCores } = parts;
  const startTime = new Date(podStartedAtMs).toISOString();
  const together = whole === undefined ? {} : usage(whole, nanoCores(""));
  return {
    node: { nodeName, startTime, ...together },
    pods: [
      {
        podRef: { name: pod, namespace, uid: podUid },
        startTime,
        containers: containers.map(({ name, startedAtMs, stats }) => ({
          name,
          startTime: new Date(startedAtMs).toISOString(),
          ...usage(stats, nanoCores(name)),
        })),
        ...together,
      },
    ],
  };
}

function usage({ atMs, cpuUsageNanos, memoryBytes, memoryLimitBytes }: ContainerStats, nanoCores: number | undefined): object {
  const time = new Date(atMs).toISOString();
  return {
    cpu: { time, ...(nanoCores !== undefined && { usageNanoCores: Math.round(nanoCores) }), usageCoreNanoSeconds: cpuUsageNanos },
    memory: { time, availableBytes: Math.max(0, memoryLimitBytes - memoryBytes), usageBytes: memoryBytes, workingSetBytes: memoryBytes },
  };
}
