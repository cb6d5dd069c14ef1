import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../../test/support/instance.ts";
import { FakeClock } from "../../core/clock.ts";
import { readProc, startTimeOf } from "../../host/process.ts";
import type { ContainerdPaths } from "./containerd-config.ts";
import type { ContainerdClient } from "./grpc.ts";
import { CallsUnderWay } from "./calls-under-way.ts";
import { endOrphans, type OrphanLook, shimsOf } from "./orphans.ts";
import { Strangers } from "./strangers.ts";

/** Shims of a containerd whose CRI knows some of them. They are programs under a shim's name: what is read of one is its command line. */

const KNOWN = "a".repeat(64);
const LEFT = "b".repeat(64);

let folder: string;
let look: OrphanLook;
let clock: FakeClock;
let shims: ReadonlyMap<string, ChildProcess>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-orphans-"));
  const socket = join(folder, "containerd.sock");
  const client = {
    listPodSandbox: async () => ({ items: [{ id: KNOWN, state: "SANDBOX_READY" }] }),
    listContainers: async () => ({ containers: [] }),
    podSandboxStatus: async () => ({ info: {} }),
    listLeases: async () => ({ leases: [] }),
    making: new CallsUnderWay(),
  } as unknown as ContainerdClient;
  const paths = { socket, state: folder, runcRoot: folder } as ContainerdPaths;
  // Older than the shims, as the containerd is that made them.
  const startTicks = startTimeOf(process.pid) ?? "";
  clock = new FakeClock();
  look = { client, paths, startTicks, strangers: new Strangers(clock), quietMs: 1_000, namespaceOf: new Map() };
  shims = new Map([KNOWN, LEFT].map((id) => [id, shim(id, socket)]));
  for (const child of shims.values())
    await until("the shim has its name", async () => readProc(`/proc/${child.pid}/cmdline`)?.startsWith("containerd-shim"));
});

afterEach(async () => {
  for (const child of shims.values()) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

function shim(id: string, socket: string, ...action: readonly string[]): ChildProcess {
  const script = 'exec -a containerd-shim-runc-v2 sh -c "read end" "$@"';
  return spawn("bash", ["-c", script, "bash", "-namespace", "k8s.io", "-id", id, "-address", socket, ...action], {
    stdio: ["pipe", "ignore", "ignore"],
  });
}

const runs = (id: string): boolean => shims.get(id)?.signalCode === null;

test("a shim that CRI does not know is ended at a later look: at the first it may be one that is being made", async () => {
  expect(await endOrphans(look)).toBe(0);
  await clock.advance(look.quietMs);
  expect(await endOrphans(look)).toBe(1);
  await until("it has ended", async () => !runs(LEFT));
  expect(runs(KNOWN)).toBe(true);
});

test("the program that clears up behind a shim that is gone is not taken for it", async () => {
  const passing = ["start", "delete"].map((action) => shim(KNOWN, look.paths.socket, action));
  try {
    for (const child of passing) await until("it has its name", async () => readProc(`/proc/${child.pid}/cmdline`)?.startsWith("containerd-shim"));
    expect((await shimsOf(look.paths.socket)).map(({ id }) => id).toSorted()).toEqual([KNOWN, LEFT]);
  } finally {
    for (const child of passing) child.kill("SIGKILL");
  }
});

test("one that is older than the containerd that runs is ended at once", async () => {
  const age = Number(startTimeOf(shims.get(LEFT)?.pid ?? 0));
  const containerd = await until("a process is younger than the shim", async () => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    if (Number(startTimeOf(child.pid ?? 0)) > age) return child;
    child.kill("SIGKILL");
    return undefined;
  });
  try {
    expect(await endOrphans({ ...look, startTicks: startTimeOf(containerd.pid ?? 0) ?? "" })).toBe(1);
    await until("it has ended", async () => !runs(LEFT));
    expect(runs(KNOWN)).toBe(true);
  } finally {
    containerd.kill("SIGKILL");
  }
});
