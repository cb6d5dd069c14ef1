/** What the log store's program appends, and its check expects. */
import { join } from "node:path";
import type { LogStore } from "../../../src/contracts/log-store.ts";
import type { Toolbox } from "../../../src/contracts/service.ts";
import type { Store } from "../../../src/contracts/store.ts";
import { openLogStore } from "../../../src/logstore/log-store.ts";

export const SCOPE = { account: "123456789012", region: "eu-central-1", group: "/ecs/shop" };
export const STREAMS = ["web/one", "web/two"];
export const BATCH_LINES = 5;
/** The name of the log file that the lines would come from. */
export const FILE = "0.log";

/** Of a length that does not fit a sector, so that frames lie across them. */
export function lineOf(stream: string, number: number): string {
  return `${stream} line ${number} `.padEnd(150 + (number % 7) * 13, "-");
}

/** Segments are so small that each holds two or three batches, and a stream so small that it is cut now and then. */
export function openLogs(folder: string, store: Store, toolbox: Toolbox): Promise<LogStore & { close(): Promise<void> }> {
  return openLogStore({ ...toolbox, directory: join(folder, "data", "logs"), store, segmentBytes: 2500, maxStreamBytes: 12_000 });
}
