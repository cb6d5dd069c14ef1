import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { testContainer, testWorkload } from "./testing.ts";
import { createWorkloadFolders, type FolderContent } from "./workload-folders.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tg-folders-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const content: FolderContent = { hosts: "127.0.0.1 localhost\n", hostname: "box", resolvConf: "nameserver 10.0.0.2\n", files: {} };

it("writes a workload's files and volumes, again and again, and keeps what containers wrote", async () => {
  const folders = createWorkloadFolders({ dataDir });
  const workload = testWorkload({
    fsGroup: 2000,
    volumes: [
      { name: "scratch", type: "ephemeral" },
      { name: "conf", type: "files", files: [] },
    ],
  });
  const files = { conf: [{ path: "a/b", mode: 0o440, content: Buffer.from("x") }] };
  await folders.prepare(workload, { ...content, files });
  const own = join(dataDir, "workloads", workload.id);
  await writeFile(join(own, "volumes", "scratch", "kept"), "kept");
  await folders.prepare(workload, { ...content, files });
  expect(await readFile(join(own, "hostname"), "utf8")).toBe("box\n");
  expect(await readFile(join(own, "volumes", "conf", "a", "b"), "utf8")).toBe("x");
  expect(await readFile(join(own, "volumes", "scratch", "kept"), "utf8")).toBe("kept");
  expect((await stat(join(own, "volumes", "conf", "a", "b"))).mode & 0o777).toBe(0o440);
  const scratch = await stat(join(own, "volumes", "scratch"));
  expect([scratch.mode & 0o7777, scratch.gid]).toEqual([0o2777, 2000]);
  await folders.prepareLogs("sandbox", "web");
  expect(await folders.list()).toEqual({ workloads: [workload.id], sandboxes: ["sandbox"], keptLogs: [] });
  await folders.removeWorkload(workload.id);
  await folders.removeSandbox("sandbox");
  await folders.removeSandbox("sandbox");
  expect(await folders.list()).toEqual({ workloads: [], sandboxes: [], keptLogs: [] });
});

it("leaves files and volumes as a container made them when it prepares again, as after a kill", async () => {
  const folders = createWorkloadFolders({ dataDir });
  const workload = testWorkload({
    fsGroup: 2000,
    volumes: [
      { name: "data", type: "ephemeral" },
      { name: "memory", type: "ephemeral", medium: "memory" },
    ],
  });
  const own = join(dataDir, "workloads", workload.id);
  const [hosts, data, memory] = [join(own, "hosts"), join(own, "volumes/data"), join(own, "volumes/memory")];
  const rightsOf = async (path: string): Promise<readonly number[]> => {
    const { mode, gid } = await stat(path);
    return [mode & 0o7777, gid];
  };
  try {
    await folders.prepare(workload, content);
    expect([await rightsOf(data), await rightsOf(memory)]).toEqual([
      [0o2777, 2000],
      [0o2777, 2000],
    ]);
    // A program adds a name, and a database closes its folder.
    const { ino } = await stat(hosts);
    await writeFile(hosts, "10.0.0.9 added\n", { flag: "a" });
    for (const folder of [data, memory]) await chmod(folder, 0o700);
    // Of a start that was killed.
    await writeFile(`${hosts}.new`, "half");
    await folders.prepare(workload, content);
    expect(await readFile(hosts, "utf8")).toBe(`${content.hosts}10.0.0.9 added\n`);
    expect((await stat(hosts)).ino).toBe(ino);
    expect([await rightsOf(data), await rightsOf(memory)]).toEqual([
      [0o700, 2000],
      [0o700, 2000],
    ]);
  } finally {
    await folders.removeWorkload(workload.id);
  }
});

it("keeps logs beyond their sandbox, until they are removed", async () => {
  const folders = createWorkloadFolders({ dataDir });
  const { writeFile } = await import("node:fs/promises");
  await folders.prepareLogs("sandbox", "web");
  const there = folders.logPath("sandbox", "web", 2);
  for (const path of [there, `${there}.00000001`, folders.logPath("sandbox", "web", 1)]) await writeFile(path, "words");
  expect(await folders.logFiles("w", "web")).toEqual([]);
  expect((await folders.logFiles("w", "web", "sandbox")).toSorted((a, b) => a.attempt - b.attempt)).toEqual([
    { attempt: 1, path: folders.logPath("sandbox", "web", 1) },
    { attempt: 2, path: there },
  ]);
  // Done again after a kill, and with a container that never wrote.
  for (let time = 0; time < 2; time++) await folders.keepLogs("sandbox", "w", ["web", "silent"]);
  await folders.removeSandbox("sandbox");
  const kept = await folders.logFiles("w", "web");
  expect(kept.map(({ attempt }) => attempt).sort((a, b) => a - b)).toEqual([1, 2]);
  expect(await readFile(`${kept.find(({ attempt }) => attempt === 2)?.path}.00000001`, "utf8")).toBe("words");
  expect((await folders.list()).keptLogs).toEqual(["w"]);
  await folders.removeKeptLogs("w");
  await folders.removeKeptLogs("w");
  expect(await folders.list()).toEqual({ workloads: [], sandboxes: [], keptLogs: [] });
});

it("is closed to other users of the host: what is open inside containers is behind folders of root's own", async () => {
  const folders = createWorkloadFolders({ dataDir });
  await folders.prepare(testWorkload({ volumes: [{ name: "v", type: "ephemeral" }] }), content);
  await folders.prepareLogs("sandbox", "web");
  for (const folder of ["workloads", "mounts", "volumes", "sandboxes"]) expect((await stat(join(dataDir, folder))).mode & 0o777).toBe(0o700);
});

it("mounts volumes, and lets no path lead out of them", async () => {
  const folders = createWorkloadFolders({ dataDir });
  const workload = testWorkload({ volumes: [{ name: "v", type: "ephemeral" }] });
  await folders.prepare(workload, content);
  const mounts = (subPath?: string): ReturnType<typeof folders.mountsOf> =>
    folders.mountsOf(
      workload,
      testContainer("web", { readOnlyRootFilesystem: true, mounts: [{ volume: "v", containerPath: "/v", readOnly: true, subPath }] }),
    );
  const base = join(dataDir, "workloads", workload.id);
  expect(await mounts("a/b")).toEqual([
    { hostPath: join(base, "hosts"), containerPath: "/etc/hosts", readOnly: true },
    { hostPath: join(base, "hostname"), containerPath: "/etc/hostname", readOnly: true },
    { hostPath: join(base, "resolv.conf"), containerPath: "/etc/resolv.conf", readOnly: true },
    { hostPath: join(dataDir, "mounts", workload.id, "web-0"), containerPath: "/v", readOnly: true },
  ]);
  await writeFile(join(base, "volumes", "v", "a", "b", "seen"), "");
  expect(await readdir(join(dataDir, "mounts", workload.id, "web-0"))).toEqual(["seen"]);
  await expect(mounts("../../x")).rejects.toMatchObject({ kind: "invalid" });
  await symlink("/etc", join(base, "volumes", "v", "out"));
  await expect(mounts("out/ssl")).rejects.toMatchObject({ kind: "invalid" });
  await folders.removeWorkload(workload.id);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(dataDir);
  const evil = { ...content, files: { v: [{ path: "../../../evil", mode: 0o644, content: Buffer.alloc(0) }] } };
  await expect(folders.prepare(testWorkload({ volumes: [{ name: "v", type: "files", files: [] }] }), evil)).rejects.toMatchObject({
    kind: "invalid",
  });
});
