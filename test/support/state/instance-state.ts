/**
 * Compares what an instance has on its host (the kernel's, containerd's, HAProxy's and unbound's own lists, and files) with what its store
 * says that it should have.
 */
import { systemClock } from "../../../src/core/clock.ts";
import { messageOf } from "../../../src/core/problem.ts";
import { differences, joined } from "./lines.ts";
import { expectedFiles, observedFiles } from "./file-state.ts";
import { expectedNetwork, observedNetwork } from "./network-state.ts";
import { expectedProxies, observedProxies } from "./proxy-state.ts";
import { expectedRuntime, lookAtRuntime, observedRuntime, warmSandboxes } from "./runtime-state.ts";
import { storedRecords } from "./stored-records.ts";

export interface StatefulInstance {
  readonly instanceId: string;
  readonly dataDir: string;
  readonly runDir: string;
  readonly port: number;
}

export interface CompareOptions {
  /** Whether blobs that no repository has count as left over; default false: until the garbage collection's grace is over they may be there. */
  readonly blobs?: boolean;
}

/** What is missing on the host, and what is left over there, at this moment. An instance that works still is between two states. */
export async function stateDifferences(instance: StatefulInstance, options: CompareOptions = {}): Promise<readonly string[]> {
  const store = await storedRecords(instance.dataDir);
  const facts = await lookAtRuntime(instance);
  const warm = await warmSandboxes(store, facts);
  const [expected, observed] = await Promise.all([
    Promise.all([expectedRuntime(store, warm), expectedNetwork(store, instance), expectedProxies(store, instance), expectedFiles(store, warm)]),
    Promise.all([
      observedNetwork(store, instance),
      observedProxies(store, instance),
      observedFiles(store, instance, { blobs: options.blobs ?? false }),
    ]),
  ]);
  return differences(joined(expected), [...observedRuntime(facts, warm), ...observed.flat()]);
}

/** Waits until host and store agree. @throws Error with the differences that stay. */
export async function untilStateAgrees(instance: StatefulInstance, options: CompareOptions & { readonly timeoutMs?: number } = {}): Promise<void> {
  const untilMs = systemClock.nowMs() + (options.timeoutMs ?? 60_000);
  for (let delayMs = 100; ; delayMs = Math.min(delayMs * 2, 1_000)) {
    const found = await stateDifferences(instance, options).catch((error: unknown) => [messageOf(error)]);
    if (found.length === 0) return;
    if (systemClock.nowMs() > untilMs) throw new Error(`the host is not as the store says:\n${found.join("\n")}`);
    await systemClock.sleep(delayMs);
  }
}
