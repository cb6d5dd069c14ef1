import type { LogCollector, LogSource } from "../../contracts/log-store.ts";

export interface LogSimulation {
  /** Sources that are followed and not finished, by id. */
  readonly following: ReadonlyMap<string, LogSource>;
  readonly finished: ReadonlySet<string>;
}

/** A LogCollector that only keeps account of who is followed. */
export function createSimulatedLogCollector(): LogCollector & LogSimulation {
  const following = new Map<string, LogSource>();
  const finished = new Set<string>();
  return {
    following,
    finished,
    follow: async (source) => {
      following.set(source.id, source);
    },
    finish: async (sourceId) => {
      following.delete(sourceId);
      finished.add(sourceId);
    },
    lagBytes: async () => 0,
    health: () => ({ droppedBytes: 0, failing: [] }),
  };
}
