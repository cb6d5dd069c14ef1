import type { CapacityProviderStrategyItem } from "@aws-sdk/client-ecs";
import type { ServiceSubnetRecord } from "../records.ts";
import type { PlannedTask } from "./service-observation.ts";

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

const least = <T>(items: readonly T[], countOf: (item: T) => number): T | undefined =>
  items.reduce<T | undefined>((best, item) => (best === undefined || countOf(item) < countOf(best) ? item : best), undefined);

interface Placed {
  readonly subnetId: string;
  readonly availabilityZone: string;
}

/** `count` subnets, each in the zone that has the fewest tasks by then, the least used subnet of it. */
export function spread(subnets: readonly ServiceSubnetRecord[], present: readonly Placed[], count: number): readonly ServiceSubnetRecord[] {
  const zones = countBy(present, (task) => task.availabilityZone);
  const used = countBy(present, (task) => task.subnetId);
  const chosen: ServiceSubnetRecord[] = [];
  for (let index = 0; index < count; index++) {
    const first = least(subnets, (subnet) => zones.get(subnet.availabilityZone) ?? 0);
    const subnet = least(
      subnets.filter((each) => each.availabilityZone === first?.availabilityZone),
      (each) => used.get(each.subnetId) ?? 0,
    );
    if (subnet === undefined) break;
    chosen.push(subnet);
    zones.set(subnet.availabilityZone, (zones.get(subnet.availabilityZone) ?? 0) + 1);
    used.set(subnet.subnetId, (used.get(subnet.subnetId) ?? 0) + 1);
  }
  return chosen;
}

/** The provider of the next task: `base` first, then by weight. `undefined` without a strategy. */
export function nextProvider(strategy: readonly CapacityProviderStrategyItem[], present: readonly (string | undefined)[]): string | undefined {
  const counts = countBy(present, (name) => name ?? "");
  const count = (item: CapacityProviderStrategyItem): number => counts.get(item.capacityProvider ?? "") ?? 0;
  const base = strategy.find((item) => count(item) < (item.base ?? 0));
  if (base !== undefined) return base.capacityProvider;
  const weighted = strategy.filter((item) => (item.weight ?? 0) > 0);
  const candidates = weighted.length > 0 ? weighted : strategy;
  return least(candidates, (item) => (Math.max(0, count(item) - (item.base ?? 0)) + 1) / Math.max(1, item.weight ?? 0))?.capacityProvider;
}

/**
 * `count` tasks to end, in order: those not yet running, those not healthy, then from the zone that has the most tasks, the newest first.
 * Differs: AWS picks at random inside a zone.
 */
export function choose(tasks: readonly PlannedTask[], count: number, healthy: (task: PlannedTask) => boolean): readonly PlannedTask[] {
  const rank = (task: PlannedTask): number => (task.phase === "pending" ? 0 : healthy(task) ? 2 : 1);
  const left = [...tasks].sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1));
  const zones = countBy(left, (task) => task.availabilityZone);
  const chosen: PlannedTask[] = [];
  while (chosen.length < count && left.length > 0) {
    const lowest = Math.min(...left.map(rank));
    const pool = left.filter((task) => rank(task) === lowest);
    const task = least(pool, (each) => -(zones.get(each.availabilityZone) ?? 0));
    if (task === undefined) break;
    chosen.push(task);
    left.splice(left.indexOf(task), 1);
    zones.set(task.availabilityZone, (zones.get(task.availabilityZone) ?? 1) - 1);
  }
  return chosen;
}
