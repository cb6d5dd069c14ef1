/** Cuts the power at each moment of a recording, opens what is then on the disk, and says what was lost or torn. */
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomOf, seed } from "../matrix.ts";
import { before, DATA_ONLY, drawn, EVERYTHING, LENGTHS_ONLY, NAMES_ONLY, NOTHING, type Disk, type Image, type Survival } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import type { Recording } from "./record.ts";
import { isMapped, Replay, type Moment } from "./replay.ts";

/** Opens what is in the folder as a start after the cut would, and answers what is wrong, in words. */
export type Check = (folder: string, ledger: Ledger) => Promise<readonly string[]>;

export interface CutReport {
  /** Moments at which the power was cut, and how many of them were at a sync. */
  readonly moments: number;
  readonly syncs: number;
  /** Different disks that were opened. */
  readonly images: number;
  /** What was wrong, with the moment and what had survived. */
  readonly violations: readonly string[];
}

interface Cut {
  readonly where: string;
  readonly image: Image;
  readonly lines: readonly string[];
}

/** Drawn survivals for each sync: quickly, and thoroughly. */
const DRAWN = { quick: 2, thorough: 6 };
/** After so many the picture is clear. */
const VIOLATIONS = 5;

/** At each sync and acknowledgement; `thorough`, also after each change, and with more draws. */
export async function cutEverywhere(recording: Recording, check: Check, { thorough = false } = {}): Promise<CutReport> {
  const { cuts, moments, syncs } = cutsOf(recording, thorough);
  const work = await mkdtemp(join(await memoryFolder(), "tidegate-power-"));
  const violations: string[] = [];
  let images = 0;
  try {
    for (const { where, image, lines } of cuts) {
      const folder = join(work, String(images++));
      lay(image, folder);
      for (const words of await checked(check, folder, new Ledger(lines))) violations.push(`${where}: ${words}`);
      rmSync(folder, { recursive: true });
      if (violations.length >= VIOLATIONS) break;
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { moments, syncs, images, violations };
}

async function checked(check: Check, folder: string, ledger: Ledger): Promise<readonly string[]> {
  try {
    return await check(folder, ledger);
  } catch (error) {
    return [`it does not open: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  }
}

function cutsOf(recording: Recording, thorough: boolean): { readonly cuts: readonly Cut[]; readonly moments: number; readonly syncs: number } {
  const cuts: Cut[] = [];
  const seen = new Set<string>();
  let moments = 0;
  let syncs = 0;
  const onMoment = (moment: Moment, disk: Disk, lines: readonly string[]): void => {
    if (moment === "after a change" && !thorough) return;
    moments++;
    if (moment === "before a sync") syncs++;
    for (const survival of survivalsAt({ moment, number: moments, position: disk.position }, thorough)) {
      const image = disk.image(survival);
      const key = `${lines.length} ${fingerprint(image)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      cuts.push({ where: `seed ${seed}, cut ${moments} (${moment} ${syncs}; ${survival.name})`, image, lines: [...lines] });
    }
  };
  const replay = new Replay({ ...recording, onMoment, happened: whatHappened(recording) });
  for (const calls of recording.runs) replay.play(calls);
  return { cuts, moments, syncs };
}

/** Which of the calls that a kill cut off were made: those that lead to what is in the folder. */
function whatHappened(recording: Recording): (cutOff: number) => boolean {
  let differences: readonly string[] = [];
  for (let bits = 0, count = 0; bits < 2 ** count || bits === 0; bits++) {
    const happened = (cutOff: number): boolean => ((bits >> cutOff) & 1) === 1;
    const replay = new Replay({ ...recording, onMoment: () => {}, happened });
    for (const calls of recording.runs) replay.play(calls);
    differences = replay.differences();
    if (differences.length === 0) return happened;
    count = replay.cutOff;
  }
  throw new Error(`the trace does not lead to what is in the folder: ${differences.slice(0, 5).join("; ")}`);
}

/** Around a sync everything that may survive is tried; after an acknowledgement, what must. */
function survivalsAt(
  { moment, number, position }: { readonly moment: Moment; readonly number: number; readonly position: number },
  thorough: boolean,
): readonly Survival[] {
  const draw = (count: number): readonly Survival[] =>
    Array.from({ length: count }, (_, index) => drawn(randomOf(`cut ${number}`, seed + index), `row ${index}`));
  if (moment === "after an acknowledgement" || (moment === "after a sync" && !thorough)) return [NOTHING, ...draw(1)];
  if (moment === "after a change") return [NOTHING, ...draw(2)];
  return [NOTHING, EVERYTHING, NAMES_ONLY, LENGTHS_ONLY, DATA_ONLY, before(position - 1), ...draw(thorough ? DRAWN.thorough : DRAWN.quick)];
}

function fingerprint(image: Image): string {
  const hash = createHash("sha1");
  for (const [path, content] of [...image].sort(([one], [other]) => (one < other ? -1 : 1))) {
    if (isMapped(path)) continue;
    hash.update(`${path}\0${content?.length ?? -1}\0`);
    if (content !== undefined) hash.update(content);
  }
  return hash.digest("hex");
}

/** A folder comes before what is in it. */
function lay(image: Image, folder: string): void {
  mkdirSync(folder);
  for (const [path, content] of image) {
    if (isMapped(path)) continue;
    if (content === undefined) mkdirSync(join(folder, path));
    else writeFileSync(join(folder, path), content);
  }
}

/** Where a sync costs nothing, if there is such a place. */
async function memoryFolder(): Promise<string> {
  return access("/dev/shm").then(
    () => "/dev/shm",
    () => tmpdir(),
  );
}
