import { existsSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentLogger } from "../../core/logger.ts";
import { damageIn, renewIfDamaged } from "./damaged-metadata.ts";

let folder: string;
const pathsIn = () => ({ root: join(folder, "root"), socket: join(folder, "containerd.sock"), logFile: join(folder, "containerd.log") });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-damage-"));
  await mkdir(join(folder, "root"));
  await writeFile(join(folder, "root", "meta.db"), "half");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Fails as long as the database is there. */
function startWith(words: string): () => Promise<string> {
  return async () => {
    if (!existsSync(join(folder, "root", "meta.db"))) return "started";
    await appendFile(pathsIn().logFile, `${words}\n`);
    throw new Error("not ready");
  };
}

it("begins anew when the log of this start says that the database is damaged, and only then", async () => {
  const damageable = { paths: pathsIn(), logger: silentLogger };
  await appendFile(pathsIn().logFile, "an earlier start: file size too small\n");
  await expect(renewIfDamaged(damageable, startWith("no space left on device"))).rejects.toThrow("not ready");
  expect(existsSync(join(folder, "root", "meta.db"))).toBe(true);
  expect(await renewIfDamaged(damageable, startWith('failed to load plugin io.containerd.metadata.v1.bolt" error="file size too small"'))).toBe(
    "started",
  );
});

it("leaves a damaged database alone while containers run, and says what to do", async () => {
  await using stack = new AsyncDisposableStack();
  const shim = spawn("sh", ["-c", "echo up; read line", "containerd-shim-of-a-test", pathsIn().socket], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise<void>((done) => shim.once("close", () => done()));
  stack.defer(async () => {
    shim.stdin.end();
    await ended;
  });
  await new Promise<void>((up) => shim.stdout.once("data", () => up()));
  const starting = renewIfDamaged({ paths: pathsIn(), logger: silentLogger }, startWith("invalid database"));
  await expect(starting).rejects.toThrow(new RegExp(`invalid database.*1 sandboxes still run.*kill ${shim.pid}`));
  expect(existsSync(join(folder, "root", "meta.db"))).toBe(true);
});

it.each([
  ["goroutine 1 [running]:\ngo.etcd.io/bbolt.(*freelist).read(0xc0)", "go.etcd.io/bbolt.(*freelist).read(0xc0)"],
  ['level=warning error="invalid database"', "invalid database"],
  ["level=info msg=starting", undefined],
  ['error="write meta.db: no space left on device"', undefined],
])("reads %j", (log, damage) => expect(damageIn(log)).toBe(damage));
