/**
 * The power goes at each sync (in the whole matrix: after each change) of the store, the registry, the log store and the small files, and
 * what may then be on the disk is opened by the same code. See `disk.ts` for what a cut may do.
 */
import { describe, expect, it } from "vitest";
import { full, randomOf, rounds, seed } from "../matrix.ts";
import { checkFiles } from "./check-files.ts";
import { checkLogs } from "./check-logs.ts";
import { checkRegistry } from "./check-registry.ts";
import { checkStore } from "./check-store.ts";
import { cutEverywhere, type Check } from "./cuts.ts";
import { record, type Run } from "./record.ts";

interface Subject {
  readonly program: string;
  /** How much it does, in `npm test` and in the whole matrix. */
  readonly size: { readonly part: number; readonly whole: number };
  readonly check: Check;
  /** How many runs are killed; in the whole matrix one before each sync of a thread up to this. */
  readonly kills: { readonly part: number; readonly whole: number };
}

const store: Subject = { program: "store.ts", size: { part: 3, whole: 12 }, check: checkStore, kills: { part: 2, whole: 12 } };
const registry: Subject = { program: "registry.ts", size: { part: 1, whole: 3 }, check: checkRegistry, kills: { part: 1, whole: 24 } };
const logs: Subject = { program: "logs.ts", size: { part: 6, whole: 24 }, check: checkLogs, kills: { part: 2, whole: 18 } };
const files: Subject = { program: "files.ts", size: { part: 2, whole: 6 }, check: checkFiles, kills: { part: 0, whole: 0 } };

async function mustHold({ program, check }: Subject, runs: readonly Run[], thorough = false): Promise<void> {
  await using recording = await record(program, runs);
  const { moments, syncs, images, violations } = await cutEverywhere(recording, check, { thorough });
  console.log(`${program}: ${syncs} syncs, ${moments} cuts, ${images} different disks`);
  expect(violations).toEqual([]);
  expect(syncs).toBeGreaterThan(10);
}

const sizeOf = ({ size }: Subject): Run => ({ args: [String(rounds(size))] });

/** A kill leaves what it had not synced for the next process to see, and to build on. */
async function mustHoldAfterKill(subject: Subject): Promise<void> {
  const random = randomOf(`kills of ${subject.program}`);
  const all = Array.from({ length: subject.kills.whole }, (_, index) => index + 1);
  for (let count = rounds(subject.kills); count > 0; count--) {
    const [killedBeforeSync = 1] = all.splice(random.between(0, all.length - 1), 1);
    const once: Run = { args: [String(subject.size.part)] };
    await mustHold(subject, [{ ...once, killedBeforeSync }, once]).catch((cause: unknown) => {
      throw new Error(`killed before sync ${killedBeforeSync} of a thread (seed ${seed})`, { cause });
    });
  }
}

describe("a power cut", { timeout: 1_800_000 }, () => {
  it("loses no acknowledged record, and tears no transaction", () => mustHold(store, [sizeOf(store)], full));

  it("loses no acknowledged image, and serves no half blob", () => mustHold(registry, [sizeOf(registry)], full));

  it("loses no acknowledged log line, shows none twice, and no half batch", () => mustHold(logs, [sizeOf(logs)], full));

  it("leaves each small file as it was or as it was to be, and the host's hosts file too", () => mustHold(files, [sizeOf(files)], full));
});

describe("a power cut after a kill and a restart", { timeout: 1_800_000 }, () => {
  it("loses no acknowledged record", () => mustHoldAfterKill(store));

  it("loses no acknowledged image", () => mustHoldAfterKill(registry));

  it("loses no acknowledged log line", () => mustHoldAfterKill(logs));
});
