import type { DatabaseSync } from "node:sqlite";

/** A record in its new shape; the same object where nothing changes, `undefined` to remove it. */
export type ReshapeRecord = (record: Readonly<Record<string, unknown>>, key: string) => Readonly<Record<string, unknown>> | undefined;

interface Row {
  readonly key: string;
  readonly value: string;
}

/** Gives each record of a collection its new shape, inside the caller's transaction. Keys and revisions stay. */
export function reshapeRecords(
  database: DatabaseSync,
  { collection, reshape }: { readonly collection: string; readonly reshape: ReshapeRecord },
): void {
  const rows = database.prepare("SELECT key, value FROM record WHERE collection = ?").all(collection) as unknown as readonly Row[];
  const update = database.prepare("UPDATE record SET value = ? WHERE collection = ? AND key = ?");
  const remove = database.prepare("DELETE FROM record WHERE collection = ? AND key = ?");
  for (const { key, value } of rows) {
    const before = JSON.parse(value) as Readonly<Record<string, unknown>>;
    const after = reshape(before, key);
    if (after === undefined) remove.run(collection, key);
    else if (after !== before) update.run(JSON.stringify(after), collection, key);
  }
}
