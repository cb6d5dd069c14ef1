import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../../core/clock.ts";
import { Containers } from "./containers.ts";
import type { ContainerdClient } from "./grpc.ts";
import type { ContainerStatusMessage } from "./messages.ts";
import { OomVerdicts } from "./oom.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { Ulimits } from "./ulimits.ts";

/** containerd hears of an end and of the kernel's memory killer by different ways: the second may come after the first. */

let folder: string;
let clock: FakeClock;
let status: ContainerStatusMessage;
let containers: Containers;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-memory-kill-"));
  clock = new FakeClock();
  status = ended({ exitCode: 137, reason: "Error" });
  containers = containersOf(new OomVerdicts(folder));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function containersOf(oom: OomVerdicts): Containers {
  const client = {
    containerStatus: async () => ({ status }),
    listContainers: async () => ({ containers: [{ id: "c1", podSandboxId: "s1", state: status.state, annotations: {} }] }),
    stopContainer: async () => ({}),
  } as unknown as ContainerdClient;
  const rest = { sandboxes: {} as Sandboxes, ulimits: {} as Ulimits, apparmor: false, root: folder, socket: "none" };
  return new Containers({ client, clock, oom, ...rest });
}

function ended(changes: Partial<ContainerStatusMessage>): ContainerStatusMessage {
  const nanos = String(clock.nowMs() * 1_000_000);
  const when = { createdAt: nanos, startedAt: nanos, finishedAt: nanos };
  const told = { exitCode: 0, reason: "", message: "", labels: {}, annotations: {}, logPath: "" };
  return { id: "c1", metadata: { name: "app", attempt: 0 }, state: "CONTAINER_EXITED", ...when, ...told, ...changes };
}

const hears = (): void => {
  status = { ...status, reason: "OOMKilled" };
};

test("whoever sees an end by SIGKILL also sees the memory killer behind it, though containerd tells of it later", async () => {
  const seen = containers.inspect("c1");
  const listed = containers.list();
  clock.setTimer(700, hears);
  await clock.advance(2_000);
  expect(await seen).toMatchObject({ state: "exited", exitCode: 137, oomKilled: true });
  expect(await listed).toMatchObject([{ state: "exited", exitCode: 137, oomKilled: true }]);
  expect(await containers.list()).toMatchObject([{ oomKilled: true }]);
});

test("a SIGKILL of which containerd tells nothing more is just that, after a while", async () => {
  const seen = containers.inspect("c1");
  await clock.advance(2_000);
  expect(await seen).toMatchObject({ state: "exited", exitCode: 137, oomKilled: false });
});

test.each([
  ["another exit code", () => void (status = ended({ exitCode: 1, reason: "Error" }))],
  // As of a Tidegate before this one, which saw it end.
  ["a count that was read in time", () => writeFileSync(join(folder, "c1"), "0")],
  ["an end of long ago", () => void (status = { ...status, finishedAt: String((clock.nowMs() - 60_000) * 1_000_000) })],
])("%s is told at once", async (_what, arrange) => {
  arrange();
  expect(await containersOf(new OomVerdicts(folder)).inspect("c1")).toMatchObject({ state: "exited", oomKilled: false });
});

test("nor does anybody wait for more about a SIGKILL of our own", async () => {
  await containers.stop("c1", { graceSeconds: 0 });
  expect(await containers.inspect("c1")).toMatchObject({ state: "exited", exitCode: 137, oomKilled: false });
});
