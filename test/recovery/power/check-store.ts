import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { collection } from "../../../src/contracts/store.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import type { Check } from "./cuts.ts";

const services = collection<string>("test.service");

/** Every acknowledged record is there, pairs are whole, SQLite finds the file sound, and the next write is taken. */
export const checkStore: Check = async (folder, ledger) => {
  const problems: string[] = [];
  const path = join(folder, "data", "tidegate.db");
  const store = await openSqliteStore({ path, logger: silentLogger });
  try {
    for (const key of ledger.keys()) {
      const problem = ledger.judge(key, (await store.get(services, key))?.value ?? null);
      if (problem !== undefined) problems.push(problem);
    }
    for (const one of ledger.keys().filter((key) => key.endsWith("/one"))) {
      const values = await Promise.all([one, one.replace("/one", "/two")].map(async (key) => (await store.get(services, key))?.value));
      if (values[0] !== values[1]) problems.push(`half a transaction: ${one} and its other half differ`);
    }
    const revision = await store.transact([{ op: "put", collection: services, key: "after", value: "the cut" }]);
    const newer = (await store.list(services)).filter((row) => row.revision > revision);
    if (newer.length > 0) problems.push(`${newer[0]?.key} has a revision that is still to come`);
  } finally {
    await store.close();
  }
  const database = new DatabaseSync(path);
  const { integrity_check: verdict } = database.prepare("PRAGMA integrity_check").get() as { readonly integrity_check: string };
  database.close();
  if (verdict !== "ok") problems.push(`SQLite finds the database unsound: ${verdict}`);
  return problems;
};
