import type { ContainerStats } from "../contracts/engine.ts";

export interface StatsSubject {
  /** DockerId. */
  readonly id: string;
  readonly name: string;
  readonly onlineCpus: number;
}

/** Docker's ContainerStats as the task metadata endpoint answers it, from two samples. What is not measured is left out or 0. */
export function dockerStats(now: ContainerStats, before: ContainerStats | undefined, subject: StatsSubject): object {
  return {
    read: new Date(now.atMs).toISOString(),
    preread: before === undefined ? "0001-01-01T00:00:00Z" : new Date(before.atMs).toISOString(),
    num_procs: 0,
    cpu_stats: cpuStats(now, subject.onlineCpus),
    precpu_stats: before === undefined ? cpuStats({ ...now, cpuUsageNanos: 0, atMs: 0 }, subject.onlineCpus) : cpuStats(before, subject.onlineCpus),
    memory_stats: { usage: now.memoryBytes, max_usage: now.memoryBytes, stats: {}, limit: now.memoryLimitBytes },
    name: subject.name,
    id: subject.id,
  };
}

function cpuStats(stats: ContainerStats, onlineCpus: number): object {
  return {
    cpu_usage: { total_usage: stats.cpuUsageNanos, usage_in_kernelmode: 0, usage_in_usermode: stats.cpuUsageNanos },
    // Clients divide by the difference of two of these: the host's CPU time that passed.
    system_cpu_usage: stats.atMs * 1_000_000 * onlineCpus,
    online_cpus: onlineCpus,
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  };
}
