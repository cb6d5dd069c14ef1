/**
 * Replaces a small file again and again, in one of several ways, of which all but one are wrong: what the harness is tested with.
 * `writer FOLDER LEDGER HOW`
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { LedgerWriter } from "../ledger.ts";

const [, , folder = "", ledgerPath = "", how = ""] = process.argv;
const ledger = new LedgerWriter(ledgerPath);

function write(path: string, text: string, sync: boolean): void {
  const file = openSync(path, "w");
  writeSync(file, text);
  if (sync) fsyncSync(file);
  closeSync(file);
}

function syncFolder(path: string): void {
  const file = openSync(path, "r");
  fsyncSync(file);
  closeSync(file);
}

const inner = join(folder, "inner");
mkdirSync(inner);
if (how !== "no sync of the folder above") syncFolder(folder);
for (let round = 1; round <= 4; round++) {
  const value = `round ${round} `.repeat(200);
  const path = join(inner, "file");
  ledger.begin("file", value);
  if (how === "acknowledged before the sync") ledger.done("file");
  if (how === "in place") {
    write(path, value, true);
  } else {
    write(`${path}.tmp`, value, how !== "no sync before the rename");
    if (how === "removed before the rename" && round > 1) unlinkSync(path);
    renameSync(`${path}.tmp`, path);
  }
  if (how !== "no sync of the folder") syncFolder(inner);
  if (how !== "acknowledged before the sync") ledger.done("file");
}
