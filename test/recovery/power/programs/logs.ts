/**
 * Appends to the real log store: two streams of a source each, at once, over several small segments; one of them reaches its cap.
 * `logs FOLDER LEDGER BATCHES`
 */
import { join } from "node:path";
import { systemClock } from "../../../../src/core/clock.ts";
import { randomIds } from "../../../../src/core/ids.ts";
import { silentLogger } from "../../../../src/core/logger.ts";
import { isProblem } from "../../../../src/core/problem.ts";
import { openSqliteStore } from "../../../../src/store/sqlite/sqlite-store.ts";
import { LedgerWriter } from "../ledger.ts";
import { BATCH_LINES, FILE, lineOf, openLogs, SCOPE, STREAMS } from "../lines.ts";

const [, , folder = "", ledgerPath = "", batches = "1"] = process.argv;
const ledger = new LedgerWriter(ledgerPath);
const store = await openSqliteStore({ path: join(folder, "data", "tidegate.db"), logger: silentLogger });
const logStore = await openLogs(folder, store, { clock: systemClock, ids: randomIds, logger: silentLogger });

async function ifNew(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isProblem(error, "already-exists")) throw error;
  });
}

/** As the collector does: from wherever the log store stands. The position is the number of the last line. */
async function fill(stream: string): Promise<void> {
  await ifNew(logStore.createStream(SCOPE, stream));
  for (let batch = 0; batch < Number(batches); batch++) {
    const from = (await logStore.position(stream))?.at;
    const stored = from?.offset ?? 0;
    // What stands there counts as stored: the container's own file may be removed.
    ledger.begin(stream, String(stored));
    ledger.done(stream);
    const to = { file: FILE, offset: stored + BATCH_LINES };
    const events = Array.from({ length: BATCH_LINES }, (_, index) => ({ timestampMs: Date.now(), message: lineOf(stream, stored + index + 1) }));
    ledger.begin(stream, String(to.offset));
    await logStore.append(SCOPE, { stream, events, source: { id: stream, from, to } });
    ledger.done(stream);
  }
}

await ifNew(logStore.createGroup(SCOPE, { tags: {} }));
await Promise.all(STREAMS.map(fill));
await logStore.close();
await store.close();
