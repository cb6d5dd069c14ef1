import { join } from "node:path";
import type { LogStore } from "../../../src/contracts/log-store.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { randomIds } from "../../../src/core/ids.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { isProblem } from "../../../src/core/problem.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import type { Check } from "./cuts.ts";
import type { Ledger } from "./ledger.ts";
import { BATCH_LINES, FILE, lineOf, openLogs, SCOPE, STREAMS } from "./lines.ts";

/** Every acknowledged line is there once, in order and whole; the position is that of the last line; the next batch is taken. */
export const checkLogs: Check = async (folder, ledger) => {
  const store = await openSqliteStore({ path: join(folder, "data", "tidegate.db"), logger: silentLogger });
  const logStore = await openLogs(folder, store, { clock: systemClock, ids: randomIds, logger: silentLogger });
  try {
    const problems: string[] = [];
    for (const stream of STREAMS) problems.push(...(await streamHolds(logStore, stream, ledger)));
    return problems;
  } finally {
    await logStore.close();
    await store.close();
  }
};

async function streamHolds(logStore: LogStore, stream: string, ledger: Ledger): Promise<readonly string[]> {
  const numbers = await numbersIn(logStore, stream);
  if (numbers === undefined) return ledger.acknowledged(stream) === null ? [] : [`the stream ${stream} is gone`];
  const last = numbers.at(-1) ?? 0;
  const from = (await logStore.position(stream))?.at;
  const position = from?.offset ?? 0;
  const problems: string[] = [];
  const lost = ledger.judge(stream, String(last));
  if (lost !== undefined && !(last === 0 && ledger.acknowledged(stream) === null)) problems.push(lost);
  if (position !== last) problems.push(`${stream}: the position is ${position}, and the last line ${last}`);
  if (last % BATCH_LINES !== 0) problems.push(`${stream}: a part of a batch is shown, up to line ${last}`);
  problems.push(...orderOf(stream, numbers));
  await logStore.append(SCOPE, {
    stream,
    events: Array.from({ length: BATCH_LINES }, (_, index) => ({ timestampMs: Date.now(), message: lineOf(stream, last + index + 1) })),
    source: { id: stream, from, to: { file: FILE, offset: last + BATCH_LINES } },
  });
  if ((await numbersIn(logStore, stream))?.at(-1) !== last + BATCH_LINES) problems.push(`${stream}: a line appended after the cut is not shown`);
  return problems;
}

/** The cap may have taken the oldest; after them there is no gap, but where a removed segment came back. */
function orderOf(stream: string, numbers: readonly number[]): readonly string[] {
  const problems: string[] = [];
  for (const [index, number] of numbers.entries()) {
    const before = numbers[index - 1];
    if (before === undefined || number === before + 1) continue;
    problems.push(`${stream}: line ${number} comes after line ${before}`);
  }
  return problems;
}

/** `undefined` when the stream is not there. @throws when a line is not as it was written. */
async function numbersIn(logStore: LogStore, stream: string): Promise<readonly number[] | undefined> {
  const numbers: number[] = [];
  try {
    for (let token: string | undefined; ;) {
      const page = await logStore.read(SCOPE, stream, { limit: 10_000, fromHead: true, token });
      if (page.events.length === 0) return numbers;
      for (const { message } of page.events) {
        const number = Number(/ line (\d+) /.exec(message)?.[1]);
        if (message !== lineOf(stream, number)) throw new Error(`a torn line is shown: ${message.slice(0, 60)}`);
        numbers.push(number);
      }
      token = page.forwardToken;
    }
  } catch (error) {
    if (isProblem(error, "not-found")) return undefined;
    throw error;
  }
}
