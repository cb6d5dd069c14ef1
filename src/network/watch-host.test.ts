import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../test/support/instance.ts";
import { FakeClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { killProcess, readProc } from "../host/process.ts";
import { run } from "../host/run.ts";
import { watchHost } from "./watch-host.ts";

/** A namespace that plays the host, in which others change the rules. */

let host: ChildProcess;
let netnsPath: string;
let clock: FakeClock;
let watch: Disposable | undefined;
let told: number;
let onChange: () => Promise<void>;

beforeEach(async () => {
  const mine = await readlink("/proc/self/ns/net");
  host = spawn("unshare", ["--net", "sleep", "1000"], { stdio: "ignore" });
  netnsPath = `/proc/${host.pid}/ns/net`;
  await until("it has a namespace of its own", async () => (await readlink(netnsPath).catch(() => mine)) !== mine);
  clock = new FakeClock();
  told = 0;
  onChange = async () => {};
  const tell = async (): Promise<void> => {
    told++;
    await onChange();
  };
  watch = watchHost({ clock, logger: silentLogger, netnsPath, onChange: tell });
});
afterEach(() => {
  watch?.[Symbol.dispose]();
  host.kill("SIGKILL");
});

/** Until the monitor, which may just be starting, has told of it. Answers how many changes that took, each of which may be told. */
async function somebodyChangesRules(): Promise<number> {
  let number = 0;
  await until("it is noticed", async () => {
    await run(["nsenter", `--net=${netnsPath}`, "--", "nft", "add", "table", "ip", `other${number++}`]);
    return clock.pendingDelaysMs().includes(500);
  });
  return number;
}

test("where what follows a change fails it is tried again, later and later, until it succeeds; then no more", async () => {
  onChange = () => Promise.reject(new Error("the firewall is busy"));
  const changes = await somebodyChangesRules();
  await until("it is tried more often than it was told of", async () => {
    await clock.advance(60_500);
    return told > changes + 3;
  });
  onChange = async () => {};
  await until("it is done", async () => {
    await clock.advance(60_500);
    return clock.pendingDelaysMs().length === 0;
  });
});

test("a monitor that dies is started again, and what it may have missed is looked at", async () => {
  const monitors = (): readonly number[] =>
    readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
      .trim()
      .split(" ")
      .map(Number)
      .filter((pid) => readProc(`/proc/${pid}/cmdline`) === "nft\0monitor\0");
  const [monitor = 0] = await until("the monitor runs", async () => (monitors().length === 1 ? monitors() : undefined));
  killProcess(monitor);
  await until("its end is known", async () => clock.pendingDelaysMs().includes(30_000));
  expect(told).toBe(0);
  await clock.advance(30_500);
  expect(told).toBe(1);
  await until("another one runs", async () => monitors().length === 1);
  await somebodyChangesRules();
});
