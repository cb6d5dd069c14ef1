import { access, mkdtemp, readdir, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RuntimeContainer, Sandbox } from "../contracts/container-runtime.ts";
import { FakeClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { LogKeeper } from "./log-keeper.ts";
import { LABELS } from "./records.ts";
import { testContainer, testWorkload } from "./testing.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tg-keeper-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const path = (): string => join(folder, "0.log");
const sandbox: Sandbox = { id: "s", name: "sandbox", labels: {}, ready: true, createdAtMs: 0 };

/** One container; its runtime makes the new file when it is told to. */
function keeperOf(log: "file" | "none", state: RuntimeContainer["state"] = "running"): { readonly keeper: LogKeeper; readonly clock: FakeClock } {
  const clock = new FakeClock();
  const workload = testWorkload({ containers: [testContainer("web", { log: { type: log } })] });
  const labels = { [LABELS.workload]: workload.id };
  const container = { id: "c", sandboxId: "s", name: "web", attempt: 0, state, labels, oomKilled: false, createdAtMs: 0 };
  const keeper = new LogKeeper({
    context: {
      clock,
      logger: silentLogger,
      runtime: { reopenContainerLog: () => writeFile(path(), "") },
      cache: { containers: () => [container], sandboxes: () => [sandbox] },
      folders: { logPath: () => path() },
    },
    workload: (id) => (id === workload.id ? workload : undefined),
    rotateBytes: 10,
  });
  return { keeper, clock };
}

it("rotates what has grown, every ten seconds, and keeps five files", async () => {
  const { keeper, clock } = keeperOf("file");
  using _ = keeper;
  keeper.start();
  await writeFile(path(), "short");
  await clock.advance(10_000);
  expect(await readdir(folder)).toEqual(["0.log"]);
  for (let time = 1; time <= 7; time++) {
    await writeFile(path(), `long enough ${time}`);
    await keeper.look();
  }
  expect((await readdir(folder)).sort()).toEqual(["0.log", "0.log.00000004", "0.log.00000005", "0.log.00000006", "0.log.00000007"]);
  await clock.advance(10_000);
  await access(path());
});

it("goes on with what was left half rotated", async () => {
  const { keeper } = keeperOf("file");
  await writeFile(`${path()}.00000001`, "rotated, and then there was a kill");
  await keeper.look();
  await access(path());
  await unlink(path());
  await keeperOf("file", "exited").keeper.look();
  await expect(access(path())).rejects.toMatchObject({ code: "ENOENT" });
});

it("leaves logs alone that others keep", async () => {
  await writeFile(path(), "long enough to be rotated");
  await keeperOf("none").keeper.look();
  expect(await readdir(folder)).toEqual(["0.log"]);
});
