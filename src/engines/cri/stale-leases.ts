import type { Clock } from "../../core/clock.ts";
import { startTimeOf } from "../../host/process.ts";
import type { ContainerdPaths } from "./containerd-config.ts";
import type { ContainerdClient } from "./grpc.ts";
import type { Lease } from "./messages.ts";
import { beganBefore } from "./started-at.ts";

/**
 * Ends the leases of what a containerd that died had under way, so that it collects the snapshots and layers they hold; by itself it would
 * keep them for a day. Answers how many there were.
 */
export async function endStaleLeases(
  client: ContainerdClient,
  { pid, paths, clock }: { readonly pid: number | undefined; readonly paths: Pick<ContainerdPaths, "socket">; readonly clock: Clock },
): Promise<number> {
  const startTicks = pid === undefined ? undefined : startTimeOf(pid);
  if (startTicks === undefined) return 0;
  const stale = staleLeases((await client.listLeases({})).leases, beganBefore({ startTicks, socket: paths.socket }, clock));
  for (const { id } of stale) await client.deleteLease({ id, sync: true });
  return stale.length;
}

/** Those that are older than the containerd that runs: whoever made them is gone. Pure. */
export function staleLeases(leases: readonly Lease[], beganMs: number): readonly Lease[] {
  return leases.filter(({ createdAt }) => createdAt !== null && Number(createdAt.seconds) * 1000 + createdAt.nanos / 1e6 < beganMs);
}
