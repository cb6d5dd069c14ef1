import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { collection, type Store } from "../../../src/contracts/store.ts";
import { createMemoryStore } from "../../../src/store/memory/memory-store.ts";

interface Row {
  readonly collection: string;
  readonly key: string;
  readonly value: string;
}

/** An instance's records as its database has them at this moment, read without a write to it; what is changed in the answer is changed nowhere else. */
export async function storedRecords(dataDir: string): Promise<Store> {
  const database = new DatabaseSync(join(dataDir, "tidegate.db"), { readOnly: true });
  try {
    const rows = database.prepare("SELECT collection, key, value FROM record").all() as unknown as readonly Row[];
    const store = createMemoryStore();
    await store.transact(
      rows.map((row) => ({ op: "put", collection: collection(row.collection), key: row.key, value: JSON.parse(row.value) as unknown })),
    );
    return store;
  } finally {
    database.close();
  }
}
