import { mkdir, open, readdir, readFile, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { criHarness } from "../../../test/support/cri-harness.ts";
import type { CriHarness } from "../../../test/support/cri-harness.ts";
import { until } from "../../../test/support/instance.ts";
import { randomIds } from "../../core/ids.ts";
import { run } from "../../host/run.ts";
import { findShims } from "./cleanup.ts";

/** What was cut off while containerd lived on, so that all of it is younger than the containerd that runs. */

let harness: CriHarness;
let log: FileHandle | undefined;

beforeAll(async () => {
  harness = await criHarness();
});

afterAll(async () => {
  await log?.close();
  await harness.dispose();
});

const ctr = (...args: readonly string[]): Promise<string> =>
  run(["ctr", "--address", harness.socket, "--namespace", "k8s.io", ...args]).then(({ stdout }) => stdout);

async function newSandbox(name: string) {
  return await harness.runtime().createSandbox({
    name,
    runtimeHandler: "runc",
    cgroupParent: `/tidegate-${harness.instanceId}/${name}`,
    logDirectory: "",
    sharePidNamespace: false,
    labels: {},
  });
}

/** As containerd leaves one whose Shutdown it did not wait for: without a container, unknown to it. */
async function forgottenShim(): Promise<number> {
  const before = await findShims(harness);
  const id = randomIds.hex(64);
  const bundle = join(harness.folder, "bundle");
  await mkdir(bundle);
  await writeFile(join(bundle, "config.json"), "{}");
  await run(["mkfifo", join(bundle, "log")]);
  // It ends at once where nobody reads its log.
  log = await open(join(bundle, "log"), "r+");
  const shim = ["containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", id, "-address", harness.socket];
  await run([...shim, "-publish-binary", "/usr/bin/containerd", "start"], { cwd: bundle, environment: { GRPC_ADDRESS: harness.socket } });
  const pids = (await findShims(harness)).filter((pid) => !before.includes(pid));
  expect(pids).toHaveLength(1);
  return pids[0] ?? 0;
}

const namespaces = (): Promise<readonly string[]> => readdir(join(harness.config.runDir, "containerd/io.containerd.grpc.v1.cri/netns"));

test("a shim, a lease and a network namespace that nobody knows go, once it is clear that nobody makes them; what is in use stays", async () => {
  const [kept, gone] = [await newSandbox("kept"), await newSandbox("gone")];
  const pid = await forgottenShim();
  await ctr("leases", "create", "--id", "forgotten");
  await writeFile(join(harness.config.runDir, "containerd/io.containerd.grpc.v1.cri/netns/cni-forgotten"), "");
  await harness.runtime().stopSandbox(gone.id);
  await harness.runtime().removeSandbox(gone.id);
  await until("they are gone", async () => {
    const [shims, leases, names] = await Promise.all([findShims(harness), ctr("leases", "list", "--quiet"), namespaces()]);
    return !shims.includes(pid) && !leases.includes("forgotten") && !names.includes("cni-forgotten");
  });
  expect(await harness.runtime().inspectSandbox(kept.id)).toMatchObject({ ready: true, netnsPath: kept.netnsPath });
  expect(await readFile(`/proc/${kept.pid}/stat`, "utf8")).not.toBe("");
  expect(await namespaces()).toHaveLength(1);
  expect(await findShims(harness)).toHaveLength(1);
});
