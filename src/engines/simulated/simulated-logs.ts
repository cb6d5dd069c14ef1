import type { LogCollector, LogScope, LogSource, LogStore } from "../../contracts/log-store.ts";
import { Problem } from "../../core/problem.ts";

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
      if (!finished.has(source.id)) following.set(source.id, source);
    },
    finish: async (sourceId) => {
      following.delete(sourceId);
      finished.add(sourceId);
    },
  };
}

/** Groups and streams by name only, as much of a LogStore as the compute layer asks for. */
export function createSimulatedLogGroups(): Pick<LogStore, "createGroup" | "createStream"> & {
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
} {
  const groups = new Map<string, Set<string>>();
  const keyOf = (scope: LogScope): string => `${scope.account}/${scope.region}/${scope.group}`;
  return {
    groups,
    createGroup: async (scope) => {
      if (groups.has(keyOf(scope))) throw new Problem("already-exists", "The specified log group already exists");
      groups.set(keyOf(scope), new Set());
    },
    createStream: async (scope, stream) => {
      const streams = groups.get(keyOf(scope));
      if (streams === undefined) throw new Problem("not-found", "The specified log group does not exist.");
      if (streams.has(stream)) throw new Problem("already-exists", "The specified log stream already exists");
      streams.add(stream);
    },
  };
}
