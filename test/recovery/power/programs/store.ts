/** Writes to the real store: batches, deletions, a storm at once, enough for checkpoints. `store FOLDER LEDGER ROUNDS` */
import { join } from "node:path";
import { collection } from "../../../../src/contracts/store.ts";
import { silentLogger } from "../../../../src/core/logger.ts";
import { openSqliteStore } from "../../../../src/store/sqlite/sqlite-store.ts";
import { LedgerWriter } from "../ledger.ts";

const [, , folder = "", ledgerPath = "", rounds = "1"] = process.argv;
const ledger = new LedgerWriter(ledgerPath);
const services = collection<string>("test.service");
const store = await openSqliteStore({ path: join(folder, "data", "tidegate.db"), logger: silentLogger });

/** Two records in one transaction: one is never without the other. */
async function putPair(name: string, value: string): Promise<void> {
  const keys = [`${name}/one`, `${name}/two`];
  for (const key of keys) ledger.begin(key, value);
  await store.transact(keys.map((key) => ({ op: "put", collection: services, key, value }) as const));
  for (const key of keys) ledger.done(key);
}

async function remove(name: string): Promise<void> {
  const keys = [`${name}/one`, `${name}/two`];
  for (const key of keys) ledger.begin(key, null);
  await store.transact(keys.map((key) => ({ op: "delete", collection: services, key }) as const));
  for (const key of keys) ledger.done(key);
}

for (let round = 1; round <= Number(rounds); round++) {
  const value = `${process.pid} round ${round} `.padEnd(700, "x");
  await putPair("steady", value);
  await Promise.all(Array.from({ length: 6 }, (_, index) => putPair(`storm-${index}`, `${value}${"y".repeat(index * 1500)}`)));
  await putPair("gone", value);
  await remove("gone");
}
await store.close();
