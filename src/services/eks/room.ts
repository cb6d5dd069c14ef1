import type { Engine } from "../../contracts/engine.ts";
import type { Operation, Toolbox } from "../../contracts/service.ts";
import type { Collection, Store, Stored, Write } from "../../contracts/store.ts";
import { isProblem } from "../../core/problem.ts";
import type { Scope } from "../../core/scope.ts";
import { clusterNotFound } from "./errors.ts";
import type { EksPorts } from "./ports.ts";
import { clusterKey, CLUSTERS, type ClusterRecord } from "./records.ts";

/** What the parts of this service share. */
export interface EksRoom extends Toolbox {
  readonly store: Store;
  readonly engine: Engine;
  readonly ports: EksPorts;
  /** Hosts (`localhost:4566`) under which this Tidegate is its own STS. */
  readonly ownHosts: readonly string[];
}

/** Names an operation's types once. */
export function operation<Input, Output>(made: Operation<Input, Output>): Operation<Input, Output> {
  return made;
}

/** @throws AwsError ResourceNotFoundException. */
export async function requireCluster(room: EksRoom, scope: Scope, name: string): Promise<Stored<ClusterRecord>> {
  const found = await room.store.get(CLUSTERS, clusterKey(scope, name));
  if (found === undefined) throw clusterNotFound(name);
  return found;
}

const ATTEMPTS = 20;

export interface RecordChange<T> {
  readonly find: () => Promise<Stored<T>>;
  readonly change: (record: T) => T;
  /** Written with it, or not at all. */
  readonly also?: readonly Write[];
}

/** Stores what `change` makes of the record that `find` finds, again when somebody else's write came between; what either throws is thrown. */
export async function changeRecord<T>(room: EksRoom, collection: Collection<T>, { find, change, also }: RecordChange<T>): Promise<T> {
  for (let round = 1; ; round++) {
    const { key, value, revision } = await find();
    const changed = change(value);
    if (changed === value) return value;
    try {
      await room.store.transact([{ op: "update", collection, key, value: changed, ifRevision: revision }, ...(also ?? [])]);
      return changed;
    } catch (error) {
      if (!isProblem(error, "conflict", "not-found") || round === ATTEMPTS) throw error;
    }
  }
}
