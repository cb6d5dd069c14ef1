import { glob, mkdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { criHarness } from "../../../test/support/cri-harness.ts";
import type { CriHarness } from "../../../test/support/cri-harness.ts";
import type { RuntimeContainerSpec, Sandbox } from "../../contracts/container-runtime.ts";

/** A start that meets what a containerd that was killed in the middle of one left. */

let harness: CriHarness;
let spec: RuntimeContainerSpec;

beforeAll(async () => {
  harness = await criHarness();
  spec = {
    name: "main",
    attempt: 0,
    image: await harness.runtime().pullImage({ image: harness.shellImage, policy: "never" }),
    command: ["/bin/sh", "-c", "exec sleep 1000"],
    environment: [],
    mounts: [],
    supplementalGroups: [],
    addCapabilities: [],
    dropCapabilities: [],
    readOnlyRootFilesystem: false,
    noNewPrivileges: false,
    cpuShares: 128,
    ulimits: [],
    tty: false,
    stdin: false,
    logPath: "main/0.log",
    labels: {},
  };
});

afterAll(async () => {
  await harness.dispose();
});

async function newSandbox(name: string): Promise<Sandbox> {
  return await harness.runtime().createSandbox({
    name,
    runtimeHandler: "runc",
    cgroupParent: `/tidegate-${harness.instanceId}/${name}`,
    logDirectory: join(harness.folder, "logs", name),
    sharePidNamespace: false,
    labels: {},
  });
}

async function newestSnapshot(): Promise<string> {
  const root = join(harness.config.dataDir, "containerd");
  const all = await Array.fromAsync(glob("io.containerd.snapshotter.v1.*/snapshots/[0-9]*", { cwd: root }));
  return join(root, all.toSorted((a, b) => Number(basename(a)) - Number(basename(b))).at(-1) ?? "");
}

test.each<[string, string, (id: string) => Promise<unknown>]>([
  [
    "its shim's folder",
    "shim-folder",
    (id) => mkdir(join(harness.config.runDir, "containerd/io.containerd.runtime.v2.task/k8s.io", id), { mode: 0o700 }),
  ],
  ["a snapshot without its folder", "snapshot", async () => rm(await newestSnapshot(), { recursive: true })],
])("%s: it counts as cut off, and the container is made again", async (_what, name, leave) => {
  const runtime = harness.runtime();
  const sandbox = await newSandbox(name);
  const id = await runtime.createContainer(sandbox, spec);
  await leave(id);
  await expect(runtime.startContainer(id)).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining("was cut off") });
  expect(await runtime.inspectContainer(id)).toBeUndefined();
  const again = await runtime.createContainer(sandbox, spec);
  expect(again).not.toBe(id);
  await runtime.startContainer(again);
  expect(await runtime.inspectContainer(again)).toMatchObject({ state: "running" });
});
