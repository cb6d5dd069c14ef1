import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { SOCKET } from "./etcd-folder.ts";
import { takeSnapshot } from "./take-snapshot.ts";

const DATABASE = Buffer.alloc(1024, "x");
const WHOLE = Buffer.concat([DATABASE, createHash("sha256").update(DATABASE).digest()]);
const NAME = "2026-01-01T00-00-00Z.db";

let home: string;
let blob: Buffer;
const server = createServer((_request, response) => {
  for (const piece of [blob.subarray(0, 700), blob.subarray(700)])
    response.write(`${JSON.stringify({ result: { blob: piece.toString("base64") } })}\n`);
  response.end();
});

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "tidegate-snapshot-"));
  server.listen(join(home, SOCKET));
  await once(server, "listening");
});
afterEach(async () => {
  server.close();
  await once(server, "close");
  await rm(home, { recursive: true, force: true });
});

it("is there whole, and what a kill left of an earlier one is not", async () => {
  const folder = join(home, "snapshots");
  blob = WHOLE;
  expect(await takeSnapshot({ volume: home, folder, name: NAME })).toBe(WHOLE.length);
  await writeFile(join(folder, ".2025-01-01T00-00-00Z.db.draft"), "half");
  await takeSnapshot({ volume: home, folder, name: NAME });
  expect(await readdir(folder)).toEqual([NAME]);
});

it("is not there at all where what came is not whole", async () => {
  const folder = join(home, "snapshots");
  blob = WHOLE.subarray(0, -1);
  await expect(takeSnapshot({ volume: home, folder, name: NAME })).rejects.toThrow("are no whole snapshot");
  expect(await readdir(folder)).toEqual([]);
});
