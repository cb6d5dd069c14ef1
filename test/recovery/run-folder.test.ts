import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace, tracesOf } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { containerProcesses, vpcNamespaces } from "../support/kernel.ts";
import { createStack, type Stack } from "../support/stack.ts";

/** Everything of an instance is ended and its run folder emptied, on a host that stays up. What is read: the kernel's own lists. */

let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
});

afterAll(() => removeWithoutTrace(instance));

/** Without a word to anybody in it; its cgroups and its lines in /etc/hosts stay. */
async function endAll(): Promise<void> {
  const { instanceId, dataDir } = instance;
  await until("no process of the instance is left", async () => {
    const processes = (await tracesOf(instance)).flatMap((line) => /^process: (\d+) /.exec(line)?.[1] ?? []);
    if (processes.length > 0) await run(["kill", "-9", ...processes], { okCodes: [0, 1] });
    return processes.length === 0;
  });
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").flatMap((line) => line.split(" ")[1] ?? []);
  const ours = mounts.filter((point) => point.startsWith(`/run/tidegate/${instanceId}/`) || point.startsWith(`${dataDir}/`));
  for (const point of ours.toReversed()) await run(["umount", "--lazy", point]);
  for (const netns of await vpcNamespaces(instanceId)) await run(["ip", "netns", "delete", netns]);
  const runDir = `/run/tidegate/${instanceId}`;
  for (const name of await readdir(runDir)) await rm(join(runDir, name), { recursive: true });
}

test("what was lost is STOPPED with a reason, and what runs anew is all there is", { timeout: 120_000 }, async () => {
  const definition = await stack.define("waits", [{ name: "waits", command: ["sleep", "73000"] }]);
  const lost = await stack.start(definition);
  await stack.reach(lost, "RUNNING");
  await endAll();
  expect(await containerProcesses(instance.instanceId)).toEqual([]);

  await instance.up();
  const task = await stack.reach(lost, "STOPPED");
  expect(task).toMatchObject({ stopCode: "TerminationNotice", attachments: [{ status: "DELETED" }] });
  expect(task.stoppedReason).toContain("The host that ran the task was restarted");
  await stack.reach(await stack.start(definition), "RUNNING");
  expect(await containerProcesses(instance.instanceId, "sleep 73000")).toHaveLength(1);
  const traces = await tracesOf(instance);
  const ofKind = (kind: string): number => traces.filter((line) => line.startsWith(`${kind}: `)).length;
  expect(ofKind("netns")).toBe(1);
  expect(ofKind("link")).toBe(1);
  // A sandbox's cgroup that holds nobody is one of before.
  const sandboxes = `/sys/fs/cgroup/memory/tidegate-${instance.instanceId}`;
  const folder = await readdir(sandboxes).then(
    () => sandboxes,
    () => `/sys/fs/cgroup/tidegate-${instance.instanceId}`,
  );
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const { stdout } = await run(["find", join(folder, entry.name), "-name", "cgroup.procs", "-exec", "cat", "{}", "+"]);
    expect(stdout, `processes in ${entry.name}`).not.toBe("");
  }
});
