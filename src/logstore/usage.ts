import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Stored } from "../contracts/store.ts";
import type { SegmentFact } from "./plan-cap.ts";
import { groupKeyOfStream, type StreamRecord } from "./records.ts";

/** The segments of the streams, by a look at the disk: nothing is loaded. What goes meanwhile is left out. */
export async function measureSegments(directory: string, streams: readonly Stored<StreamRecord>[]): Promise<readonly SegmentFact[]> {
  const segments: SegmentFact[] = [];
  for (const { key, value } of streams) {
    const folder = join(directory, value.id);
    const names: readonly string[] = await readdir(folder).catch(() => []);
    for (const name of names.filter((each) => each.endsWith(".seg"))) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      if (found === undefined) continue;
      segments.push({ group: groupKeyOfStream(key), streamId: value.id, path, sizeBytes: found.size, writtenMs: found.mtimeMs });
    }
  }
  return segments;
}
