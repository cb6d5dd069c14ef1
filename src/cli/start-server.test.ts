import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTimeOf } from "../host/process.ts";
import { CommandError } from "./command.ts";
import { createOutput } from "./output.ts";
import { createSession } from "./session.ts";
import { serves, startDetached } from "./start-server.ts";

let folder: string;
/** Takes connections and never answers, as a process does whose disk hangs. */
let mute: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-mute-"));
  mute = createServer(() => undefined);
  await new Promise<void>((resolve) => void mute.listen(0, "127.0.0.1", resolve));
  const runDir = join(folder, "run");
  await mkdir(runDir);
  const { port } = mute.address() as AddressInfo;
  await writeFile(join(folder, "instance.json"), JSON.stringify({ instanceId: "a1b2c3", port, runDir }));
  await writeFile(join(runDir, "server.json"), JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid), handsOver: true }));
});
afterAll(async () => {
  mute.close();
  await rm(folder, { recursive: true, force: true });
});

test("a process that takes connections and answers nothing does not serve", async () => {
  expect(await serves(folder)).toBe(false);
}, 30_000);

test("a server that ends while its port answers nothing is told with its last words", async () => {
  const silent = { write: () => true };
  const session = createSession({ dataDir: folder, output: createOutput(silent, silent), json: false });
  const command = ["sh", "-c", "sleep 0.2; echo 'tidegate cannot start: the disk is full'; exit 1"];
  const failure = await startDetached(session, command).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CommandError);
  expect((failure as CommandError).message).toContain("tidegate cannot start: the disk is full");
}, 30_000);
