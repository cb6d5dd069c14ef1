import type { Change, Write } from "../contracts/store.ts";
import { Problem } from "../core/problem.ts";
import { checkKey } from "./keys.ts";
import { parseFrozen, toText } from "./values.ts";

/** A write whose value was turned into text, and frozen, when `transact` was called: what the caller does to its object later has no effect. */
export interface PreparedWrite {
  readonly op: Write["op"];
  readonly collection: string;
  readonly key: string;
  readonly text: string;
  readonly value: unknown;
  readonly ifRevision: number | undefined;
}

/** A record as a store keeps it. */
export interface Row {
  readonly value: unknown;
  readonly revision: number;
}

/** The rows that a batch is applied to; undoing a failed batch is the store's. */
export interface RowTable {
  read(collection: string, key: string): Row | undefined;
  write(write: PreparedWrite, revision: number): void;
  remove(collection: string, key: string): void;
}

/** @throws Problem `invalid` for a key or value that cannot be kept. */
export function prepareWrites(writes: readonly Write[]): readonly PreparedWrite[] {
  return writes.map((write) => {
    const collection = write.collection.name;
    checkKey(collection, write.key);
    const ifRevision = write.op === "update" || write.op === "delete" ? write.ifRevision : undefined;
    if (write.op === "delete") return { op: write.op, collection, key: write.key, text: "", value: undefined, ifRevision };
    const text = toText(collection, write.key, write.value);
    return { op: write.op, collection, key: write.key, text, value: parseFrozen(text), ifRevision };
  });
}

/**
 * Applies the writes one after the other and answers what changed.
 * @throws Problem `already-exists`, `conflict` or `not-found`; the caller then undoes the writes before it.
 */
export function applyWrites(table: RowTable, writes: readonly PreparedWrite[], revision: number): readonly Change[] {
  return writes.map((write) => {
    const before = table.read(write.collection, write.key);
    guard(write, before);
    if (write.op === "delete") table.remove(write.collection, write.key);
    else table.write(write, revision);
    return Object.freeze({ collection: write.collection, key: write.key, value: write.value, previous: before?.value, revision });
  });
}

function guard(write: PreparedWrite, before: Row | undefined): void {
  const name = `${write.collection}/${write.key}`;
  if (write.op === "put") return;
  if (write.op === "create") {
    if (before !== undefined) throw new Problem("already-exists", `${name} already exists, at revision ${before.revision}`);
    return;
  }
  if (before === undefined) throw new Problem("not-found", `${name} does not exist, so there is nothing to ${write.op}`);
  if (write.ifRevision !== undefined && write.ifRevision !== before.revision) {
    throw new Problem("conflict", `${name} is at revision ${before.revision}, no longer at ${write.ifRevision}: read it again and retry`);
  }
}
