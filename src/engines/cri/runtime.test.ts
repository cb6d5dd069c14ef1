import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { criHarness } from "../../../test/support/cri-harness.ts";
import type { CriHarness } from "../../../test/support/cri-harness.ts";
import { theProcess } from "../../../test/support/kernel.ts";
import type { ImageInfo, RuntimeContainer, RuntimeContainerSpec, Sandbox } from "../../contracts/container-runtime.ts";
import { systemClock } from "../../core/clock.ts";
import { isProblem } from "../../core/problem.ts";
import { run } from "../../host/run.ts";
import { hasSysResource, MASKED_PATHS } from "./capabilities.ts";
import { isCgroup2 } from "./cgroup.ts";
import { groupIsGone } from "./cleanup.ts";
import { ContainerdClient } from "./grpc.ts";

const MIB = 1024 * 1024;

let harness: CriHarness;
let image: ImageInfo;
let counter = 0;

beforeAll(async () => {
  harness = await criHarness();
  image = await harness.runtime().pullImage({ image: harness.shellImage, policy: "never" });
});
afterAll(async () => {
  await harness.dispose();
});

async function newSandbox(
  changes: { readonly sharePidNamespace?: boolean; readonly hostname?: string } = {},
): Promise<Sandbox & { readonly cgroupParent: string }> {
  const name = `s${counter++}`;
  const cgroupParent = `/tidegate-${harness.instanceId}/${name}`;
  const sandbox = await harness.runtime().createSandbox({
    name,
    runtimeHandler: "runc",
    cgroupParent,
    logDirectory: join(harness.folder, "logs", name),
    sharePidNamespace: false,
    labels: {},
    ...changes,
  });
  return { ...sandbox, cgroupParent };
}

function spec(script: string, changes: Partial<RuntimeContainerSpec> = {}): RuntimeContainerSpec {
  return {
    name: "main",
    attempt: 0,
    image,
    command: ["/bin/sh", "-c", script],
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
    logPath: `${changes.name ?? "main"}/0.log`,
    labels: {},
    ...changes,
  };
}

async function start(sandbox: Sandbox, containerSpec: RuntimeContainerSpec): Promise<string> {
  const id = await harness.runtime().createContainer(sandbox, containerSpec);
  await harness.runtime().startContainer(id);
  return id;
}

/** Makes and starts a container as a controller does: again, as long as it is told that this may help. */
async function startInTheEnd(sandbox: Sandbox, containerSpec: RuntimeContainerSpec): Promise<string> {
  for (const deadlineMs = systemClock.nowMs() + 30_000; ;) {
    try {
      return await start(sandbox, containerSpec);
    } catch (error) {
      if (!isProblem(error, "unavailable") || systemClock.nowMs() > deadlineMs) throw error;
    }
  }
}

async function exited(id: string): Promise<RuntimeContainer> {
  for (const deadlineMs = systemClock.nowMs() + 30_000; ; await systemClock.sleep(10)) {
    const container = await harness.runtime().inspectContainer(id);
    if (container?.state === "exited") return container;
    if (systemClock.nowMs() > deadlineMs) throw new Error(`container ${id} does not end: ${JSON.stringify(container)}`);
  }
}

function outputOf(sandbox: Sandbox, name = "main"): string {
  const text = readFileSync(join(harness.folder, "logs", sandbox.name, name, "0.log"), "utf8");
  return text.replace(/^\S+ (stdout|stderr) [FP] /gm, "");
}

/** Runs a script to its end in a sandbox of its own; answers what it printed. */
async function outputOfScript(script: string, changes: Partial<RuntimeContainerSpec> = {}): Promise<string> {
  const sandbox = await newSandbox();
  const { exitCode } = await exited(await start(sandbox, spec(script, changes)));
  const output = outputOf(sandbox);
  expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
  return output;
}

const STATUS = "cat /proc/1/status";

test("a container has Docker's capabilities, a seccomp filter, and no more", async () => {
  const status = await outputOfScript(STATUS);
  expect(status).toMatch(/^CapPrm:\t00000000a80425fb$/m);
  expect(status).toMatch(/^CapEff:\t00000000a80425fb$/m);
  expect(status).toMatch(/^CapBnd:\t00000000a80425fb$/m);
  expect(status).toMatch(/^CapInh:\t0{16}$/m);
  expect(status).toMatch(/^CapAmb:\t0{16}$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  expect(status).toMatch(/^NoNewPrivs:\t0$/m);
});

test("capabilities are exact, and privileges can be fenced", async () => {
  const status = await outputOfScript(STATUS, { addCapabilities: ["SYS_PTRACE"], dropCapabilities: ["ALL"], noNewPrivileges: true });
  expect(status).toMatch(/^CapPrm:\t0000000000080000$/m);
  expect(status).toMatch(/^CapBnd:\t0000000000080000$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
});

test("seccomp refuses what Docker's does, and kernel files are masked or read-only", async () => {
  const output = await outputOfScript(
    '[ -s /proc/keys ] || echo no keys; [ -z "$(ls /sys/firmware)" ] && echo no firmware; (echo 1 > /proc/sys/kernel/panic) 2>&1 || echo read-only sysctl; ls /dev/kmsg /dev/kvm /dev/vda 2>/dev/null || echo no devices',
    { addCapabilities: ["SYS_ADMIN"] },
  );
  expect(output).toContain("no keys\nno firmware\n");
  expect(output).toContain("read-only sysctl");
  expect(output).toContain("no devices");
});

test("the seccomp profile lets nobody take keys, mount, or make namespaces", async () => {
  const id = await start(await newSandbox(), spec("exec sleep 1000"));
  const { stdout } = await run(["ctr", "--address", harness.socket, "--namespace", "k8s.io", "containers", "info", "--spec", id]);
  const { linux } = JSON.parse(stdout) as { linux: { seccomp: { defaultAction: string; syscalls: { names: string[]; args?: unknown[] }[] } } };
  const allowed = new Set(linux.seccomp.syscalls.filter((rule) => rule.args === undefined).flatMap((rule) => rule.names));
  expect(linux.seccomp.defaultAction).toBe("SCMP_ACT_ERRNO");
  expect(["read", "inotify_init1"].filter((name) => !allowed.has(name))).toEqual([]);
  expect(["add_key", "keyctl", "request_key", "mount", "unshare", "setns", "bpf"].filter((name) => allowed.has(name))).toEqual([]);
});

test.each([
  [undefined, "uid=0(root) gid=0(root) groups=0(root),10(wheel)"],
  ["node", "uid=1000(node) gid=1000(node) groups=29(audio),1000(node)"],
  ["1000", "uid=1000(node) gid=1000(node) groups=29(audio),1000(node)"],
  ["node:nogroup", "uid=1000(node) gid=65534(nogroup) groups=65534(nogroup)"],
  ["4321:1234", "uid=4321 gid=1234 groups=1234"],
])("user %s is %s", async (user, expected) => {
  expect((await outputOfScript("id", { user })).trim()).toBe(expected);
});

test("supplemental groups come on top; the image's own user is used when none is given", async () => {
  expect(await outputOfScript("id", { user: "node", supplementalGroups: [777] })).toMatch(/groups=(?=.*777)(?=.*29\(audio\))/);
  expect(await outputOfScript("id", { image: { ...image, user: "node" } })).toBe("uid=1000(node) gid=1000(node) groups=29(audio),1000(node)\n");
});

test("an unknown user is refused by name", async () => {
  const sandbox = await newSandbox();
  await expect(harness.runtime().createContainer(sandbox, spec("id", { user: "nemo" }))).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringContaining("unable to find user nemo"),
  });
});

test("a user other than root can bind port 80", async () => {
  await outputOfScript("httpd -p 80 -h /tmp && wget -q -O - http://127.0.0.1:80/nothing 2>&1 | grep -q 404", { user: "node" });
});

test("open files are Fargate's 65,535 or the host's hard limit; ulimits asked for hold, for commands run inside too", async () => {
  const hostLimit = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
  expect(Number(await outputOfScript("ulimit -n"))).toBe(Math.min(65_535, hostLimit));

  const sandbox = await newSandbox();
  const id = await start(
    sandbox,
    spec("ulimit -n; ulimit -H -n; ulimit -c; exec sleep 1000", {
      ulimits: [
        { name: "nofile", soft: 1111, hard: 2222 },
        { name: "core", soft: 0, hard: 0 },
      ],
    }),
  );
  const inside = await harness.runtime().execSync(id, { command: ["/bin/sh", "-c", "ulimit -H -n"], timeoutMs: 20_000 });
  // The soft one is not asked: runc 1.1's exec races its own Go runtime, which raises it.
  expect(inside.stdout).toBe("2222\n");
  await expect.poll(() => outputOf(sandbox)).toBe("1111\n2222\n0\n");
});

test("every ulimit that ECS takes is the kernel's own for the process, or this host's hard limit", async () => {
  const names = { core: "core file size", cpu: "cpu time", data: "data size", fsize: "file size", locks: "file locks", memlock: "locked memory" };
  const more = { msgqueue: "msgqueue size", nice: "nice priority", nofile: "open files", nproc: "processes", rss: "resident set" };
  const rest = { rtprio: "realtime priority", rttime: "realtime timeout", sigpending: "pending signals", stack: "stack size" };
  // runc itself has to live with them before it becomes the container's program.
  const BYTES = new Set(["stack", "data", "fsize", "rss"]);
  const rows = Object.entries({ ...names, ...more, ...rest });
  const value = (name: string): number => (BYTES.has(name) ? 8192 * MIB : 19);
  const ulimits = rows.map(([name]) => ({ name, soft: value(name) - 1, hard: value(name) }));
  const sandbox = await newSandbox();
  await start(sandbox, spec("exec sleep 1019", { ulimits }));
  const own = limitsOf("self");
  const given = limitsOf((await theProcess(harness.instanceId, "sleep 1019")).pid);
  for (const [name, row] of rows) {
    const hard = Math.min(value(name), hasSysResource() ? Infinity : (own.get(row)?.hard ?? 0));
    expect([name, given.get(row)]).toEqual([name, { soft: Math.min(value(name) - 1, hard), hard }]);
  }
  await harness.runtime().stopSandbox(sandbox.id);
});

/** `/proc/<pid>/limits` by row, without `Max`. */
function limitsOf(pid: number | "self"): ReadonlyMap<string, { readonly soft: number; readonly hard: number }> {
  const number = (word = ""): number => (word === "unlimited" ? Infinity : Number(word));
  const rows = [...readFileSync(`/proc/${pid}/limits`, "utf8").matchAll(/^Max (\S.*?) {2,}(\S+) +(\S+)/gm)];
  return new Map(rows.map(([, row = "", soft, hard]) => [row, { soft: number(soft), hard: number(hard) }]));
}

test("/proc, /sys and /dev are as Docker gives them, shared memory is 64 MiB of the task's own", async () => {
  const mounts = (await outputOfScript("cat /proc/self/mounts")).split("\n").map((line) => line.split(" "));
  const options = (path: string): readonly string[] => mounts.findLast((fields) => fields[1] === path)?.[3]?.split(",") ?? [];
  const hierarchies = mounts.flatMap(([, path = "", type = ""]) => (type.startsWith("cgroup") ? [path] : []));
  expect(hierarchies.length).toBeGreaterThan(0);
  expect(options("/proc")).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev", "noexec"]));
  for (const path of ["/proc/sys", "/proc/bus", "/proc/irq", "/sys", ...hierarchies])
    expect([path, options(path)]).toEqual([path, expect.arrayContaining(["ro"])]);
  for (const path of MASKED_PATHS.filter((path) => existsSync(path))) expect(mounts.map((fields) => fields[1])).toContain(path);
  expect(options("/dev/shm")).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev", "noexec", "size=65536k"]));
  expect(options("/dev")).toEqual(expect.arrayContaining(["nosuid", "size=65536k"]));
});

test("what is in /dev/shm is the task's memory", async () => {
  const sandbox = await newSandbox();
  await harness.runtime().limitGroup(sandbox.cgroupParent, { memoryBytes: 32 * MIB });
  const id = await start(sandbox, spec("exec dd if=/dev/zero of=/dev/shm/much bs=1M count=60"));
  expect(await exited(id)).toMatchObject({ exitCode: 137, oomKilled: true });
});

test("a task's limit of processes holds for its containers together, and refusals are counted", async () => {
  const sandbox = await newSandbox();
  await harness.runtime().limitGroup(sandbox.cgroupParent, { processes: 20 });
  const pids = isCgroup2() ? `/sys/fs/cgroup${sandbox.cgroupParent}` : `/sys/fs/cgroup/pids${sandbox.cgroupParent}`;
  expect(readFileSync(`${pids}/pids.max`, "utf8").trim()).toBe("20");
  expect(await harness.runtime().refusedForks(sandbox.cgroupParent)).toBe(0);
  await start(sandbox, spec("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait", { name: "first" }));
  // A shell that cannot fork ends; the one around it needs no fork any more. On v1 the count is the container's, and goes with it.
  await start(sandbox, spec("(while :; do sleep 1000 & done); exec sleep 1000", { name: "bomb" }));
  while (!outputOf(sandbox, "bomb").includes("Resource temporarily unavailable")) await systemClock.sleep(20);
  expect(await harness.runtime().refusedForks(sandbox.cgroupParent)).toBeGreaterThan(0);
});

test("what containers have written into their layers is measured, also of those that have ended", async () => {
  const sandbox = await newSandbox();
  const writer = await start(sandbox, spec("dd if=/dev/zero of=/much bs=1M count=20; for i in $(seq 50); do touch /f$i; done", { name: "writer" }));
  const reader = await start(sandbox, spec("exec sleep 1000", { name: "reader" }));
  await exited(writer);
  for (const deadlineMs = systemClock.nowMs() + 40_000; ; await systemClock.sleep(200)) {
    const usage = await harness.runtime().layerUsage();
    if ((usage.get(writer)?.bytes ?? 0) >= 20 * MIB && (usage.get(writer)?.inodes ?? 0) >= 51) {
      expect(usage.get(reader)?.bytes).toBeLessThan(MIB);
      break;
    }
    expect(systemClock.nowMs()).toBeLessThan(deadlineMs);
  }
});

test("a read-only root cannot be written, a mount in it can", async () => {
  const output = await outputOfScript("touch /x 2>&1; touch /data/y && echo written; touch /ro/z 2>&1", {
    readOnlyRootFilesystem: true,
    command: ["/bin/sh", "-c", "touch /x 2>&1; touch /data/y && echo written; touch /ro/z 2>&1; true"],
    mounts: [
      { hostPath: harness.folder, containerPath: "/data", readOnly: false },
      { hostPath: harness.folder, containerPath: "/ro", readOnly: true },
    ],
  });
  expect(output).toBe("touch: /x: Read-only file system\nwritten\ntouch: /ro/z: Read-only file system\n");
  expect(existsSync(join(harness.folder, "y"))).toBe(true);
});

test("nothing of the host leaks in: hosts, resolver, name, environment", async () => {
  const output = await outputOfScript("cat /etc/hosts /etc/resolv.conf; hostname; env");
  expect(output).toContain("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\noptions ndots:1\nlocalhost\n");
  expect(output).toContain("HOSTNAME=localhost\n");
  expect(output).toMatch(/^HOME=\/\S*$/m);
});

test("containers of a sandbox share localhost, and processes only when asked", async () => {
  const shared = await newSandbox({ sharePidNamespace: true });
  await start(shared, spec("exec httpd -f -p 8080 -h /www", { name: "server" }));
  const client = spec("until wget -q -O /dev/null http://127.0.0.1:8080/ 2>/tmp/e || grep -q 404 /tmp/e; do sleep 0.1; done; ps", { name: "client" });
  await exited(await start(shared, client));
  expect(outputOf(shared, "client")).toContain("httpd -f -p 8080");
  const apart = await newSandbox();
  await start(apart, spec("exec httpd -f -p 8080 -h /www", { name: "server" }));
  await exited(await start(apart, { ...client, name: "client" }));
  expect(outputOf(apart, "client")).not.toContain("httpd");
});

/** Holds `mib` MiB of memory: dd's buffer, touched as it is filled. */
const hold = (mib: number): string => `dd if=/dev/zero of=/dev/null bs=${mib}M count=1000000000`;

test("a task's memory limit holds over its containers together: the eater dies, its sibling goes on", async () => {
  const sandbox = await newSandbox();
  await harness.runtime().limitGroup(sandbox.cgroupParent, { memoryBytes: 128 * MIB });
  const small = await start(sandbox, spec(`trap 'exit 143' TERM; ${hold(40)} & wait`, { name: "small" }));
  const eater = await start(sandbox, spec(`exec ${hold(110)}`, { name: "eater" }));
  expect(await exited(eater)).toMatchObject({ exitCode: 137, oomKilled: true });
  expect(await harness.runtime().inspectContainer(small)).toMatchObject({ state: "running", oomKilled: false });
  const limit = isCgroup2()
    ? `/sys/fs/cgroup${sandbox.cgroupParent}/memory.max`
    : `/sys/fs/cgroup/memory${sandbox.cgroupParent}/memory.limit_in_bytes`;
  expect(readFileSync(limit, "utf8").trim()).toBe(String(128 * MIB));
  const stats = () => harness.runtime().stats(small);
  expect((await stats())?.memoryLimitBytes).toBe(128 * MIB);
  // It may not have filled all of it yet.
  await expect.poll(async () => (await stats())?.memoryBytes).toBeGreaterThan(30 * MIB);

  // CRI blames the sibling too on cgroup v1; killed by us, it still is not out of memory.
  await harness.runtime().stopContainer(small, { graceSeconds: 0 });
  expect(await harness.runtime().inspectContainer(small)).toMatchObject({ state: "exited", exitCode: 137, oomKilled: false });
});

test("who was killed for memory is still known after a restart of Tidegate", async () => {
  const sandbox = await newSandbox();
  const id = await start(sandbox, spec(`exec ${hold(100)}`, { memoryLimitBytes: 32 * MIB }));
  expect(await exited(id)).toMatchObject({ exitCode: 137, oomKilled: true });
  await harness.reconnect();
  expect(await harness.runtime().inspectContainer(id)).toMatchObject({ exitCode: 137, oomKilled: true });
});

test("a task's CPU limit is a quota of its parent cgroup", async () => {
  const sandbox = await newSandbox();
  await harness.runtime().limitGroup(sandbox.cgroupParent, { cpuUnits: 256 });
  if (isCgroup2()) expect(readFileSync(`/sys/fs/cgroup${sandbox.cgroupParent}/cpu.max`, "utf8")).toBe("25000 100000\n");
  else expect(readFileSync(`/sys/fs/cgroup/cpu${sandbox.cgroupParent}/cpu.cfs_quota_us`, "utf8")).toBe("25000\n");
  const id = await start(sandbox, spec("exec sleep 1000"));
  const pid = Number((await harness.runtime().inspectSandbox(sandbox.id))?.pid);
  expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain(`${sandbox.cgroupParent}/${sandbox.id}`);
  await expect(harness.runtime().removeGroup(sandbox.cgroupParent)).rejects.toMatchObject({ kind: "conflict" });
  await harness.runtime().stopSandbox(sandbox.id);
  await harness.runtime().removeGroup(sandbox.cgroupParent);
  expect(await groupIsGone(sandbox.cgroupParent)).toBe(true);
  expect(await harness.runtime().stats(id)).toBeUndefined();
});

test("a stop signal of the caller's choice is sent, and the grace is honoured", async () => {
  const sandbox = await newSandbox();
  const polite = await start(sandbox, spec("trap 'echo got INT; exit 9' INT; touch /ready; while :; do sleep 0.05; done", { name: "polite" }));
  // A first process ignores what it has no handler for yet.
  const isReady = { command: ["/bin/sh", "-c", "until [ -e /ready ]; do sleep 0.05; done"], timeoutMs: 30_000 };
  expect((await harness.runtime().execSync(polite, isReady)).exitCode).toBe(0);
  await harness.runtime().stopContainer(polite, { graceSeconds: 20, signal: "SIGINT" });
  expect(await harness.runtime().inspectContainer(polite)).toMatchObject({ state: "exited", exitCode: 9 });
  const deaf = await start(sandbox, spec("trap '' INT; while :; do sleep 0.05; done", { name: "deaf" }));
  await harness.runtime().stopContainer(deaf, { graceSeconds: 1, signal: "SIGINT" });
  expect(await harness.runtime().inspectContainer(deaf)).toMatchObject({ state: "exited", exitCode: 137, oomKilled: false });
});

test("a start whose caller goes away in the middle of it can be done again, and leaves no failed container", async () => {
  const impatient = new ContainerdClient(harness.socket, systemClock);
  try {
    await impatient.version({ version: "v1" });
    const sandbox = await newSandbox();
    for (const [attempt, deadlineMs] of [2, 8, 16, 24, 32, 48].entries()) {
      const sleeper = spec("exec sleep 1000", { attempt });
      const first = await harness.runtime().createContainer(sandbox, sleeper);
      await impatient.startContainer({ containerId: first }, { deadlineMs }).catch(() => {});
      const id = await startInTheEnd(sandbox, sleeper);
      const shown = (await harness.runtime().listContainers()).filter(
        (container) => container.sandboxId === sandbox.id && container.attempt === attempt,
      );
      expect(shown).toMatchObject([{ id, state: "running" }]);
    }
  } finally {
    impatient.close();
  }
});

test.each(["container", "sandbox"])("a task that CRI does not know of, as a start that was cut off may leave, does not keep its %s", async (kept) => {
  const runtime = harness.runtime();
  const sandbox = await newSandbox();
  const id = await runtime.createContainer(sandbox, spec("exec sleep 1000"));
  // Behind CRI's back, for which the container is only made.
  await run(["ctr", "--address", harness.socket, "--namespace", "k8s.io", "tasks", "start", "--detach", "--null-io", id]);
  expect((await runtime.inspectContainer(id))?.state).toBe("created");
  if (kept === "container") await runtime.removeContainer(id);
  await runtime.stopSandbox(sandbox.id);
  await runtime.removeSandbox(sandbox.id);
  expect((await runtime.listContainers()).map((container) => container.id)).not.toContain(id);
  expect((await runtime.listSandboxes()).map((each) => each.id)).not.toContain(sandbox.id);
  const { stdout } = await run(["ctr", "--address", harness.socket, "--namespace", "k8s.io", "tasks", "list", "--quiet"]);
  expect(stdout).not.toContain(id);
});

test("a program that is not there fails the start with the runtime's words", async () => {
  const sandbox = await newSandbox();
  const id = await harness.runtime().createContainer(sandbox, { ...spec(""), entryPoint: ["/nope"], command: [] });
  const problem = { kind: "invalid", message: expect.stringMatching(/\/nope.*no such file or directory/) };
  await expect(harness.runtime().startContainer(id)).rejects.toMatchObject(problem);
  await expect(harness.runtime().startContainer(id)).rejects.toMatchObject(problem);
  expect(await harness.runtime().inspectContainer(id)).toMatchObject({ state: "exited", exitCode: 128, reason: expect.stringContaining("/nope") });
});

test("a command that cannot be run inside ends as in a shell", async () => {
  const id = await start(await newSandbox(), spec("exec sleep 1000"));
  const exec = async (command: string): Promise<number> => (await harness.runtime().execSync(id, { command: [command], timeoutMs: 20_000 })).exitCode;
  expect([await exec("nope"), await exec("/nope"), await exec("/etc/passwd")]).toEqual([127, 127, 126]);
});

test("a log that was put aside is reopened", async () => {
  const sandbox = await newSandbox();
  const id = await start(sandbox, spec("while :; do echo line; sleep 0.05; done"));
  const file = join(harness.folder, "logs", sandbox.name, "main/0.log");
  const { renameSync } = await import("node:fs");
  renameSync(file, `${file}.old`);
  await harness.runtime().reopenContainerLog(id);
  for (const deadlineMs = systemClock.nowMs() + 20_000; !existsSync(file) || readFileSync(file, "utf8") === ""; await systemClock.sleep(10)) {
    expect(systemClock.nowMs()).toBeLessThan(deadlineMs);
  }
});

async function directoryBytes(folder: string): Promise<number> {
  // What goes while it counts makes it end with 1.
  return Number((await run(["du", "-s", "--block-size=1", folder], { okCodes: [0, 1] })).stdout.split("\t")[0]);
}

test("an image that no container uses is removed, others stay", async () => {
  const sandbox = await newSandbox();
  await start(sandbox, spec("exec sleep 1000"));
  const runtime = harness.runtime();
  const [image, ...others] = await runtime.listImages();
  expect([image, others]).toMatchObject([{ names: [harness.shellImage], inUse: true }, []]);
  expect(await runtime.removeImage(image?.id ?? "")).toBe(false);
  await Promise.all((await runtime.listSandboxes()).map(({ id }) => runtime.removeSandbox(id)));
  expect(await runtime.listImages()).toMatchObject([{ inUse: false }]);
  const before = await directoryBytes(join(harness.config.dataDir, "containerd"));
  expect(await runtime.removeImage(image?.id ?? "")).toBe(true);
  // Busybox is about 2 MB, as it came and unpacked; containerd clears up behind its answer.
  await expect
    .poll(async () => before - (await directoryBytes(join(harness.config.dataDir, "containerd"))), { timeout: 20_000 })
    .toBeGreaterThan(2_500_000);
  expect(await runtime.removeImage(image?.id ?? "")).toBe(true);
  expect(await runtime.listImages()).toEqual([]);
  await expect(harness.runtime().pullImage({ image: harness.shellImage, policy: "never" })).rejects.toMatchObject({ kind: "not-found" });
  // The sandbox's own image stays, or no task could start.
  await newSandbox();
});

test("removeEverything leaves nothing of the instance on the host", async () => {
  const other = await criHarness();
  const tiny = await other.runtime().pullImage({ image: other.shellImage, policy: "never" });
  const sandbox = await other.runtime().createSandbox({
    name: "left",
    runtimeHandler: "runc",
    cgroupParent: `/tidegate-${other.instanceId}/left`,
    logDirectory: join(other.folder, "logs"),
    sharePidNamespace: false,
    labels: {},
  });
  const id = await other.runtime().createContainer(sandbox, { ...spec("exec sleep 1000"), image: tiny });
  await other.runtime().startContainer(id);
  await other.dispose();
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(other.folder);
  expect(await groupIsGone(`/tidegate-${other.instanceId}`)).toBe(true);
  expect(existsSync(other.folder)).toBe(false);
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => (existsSync(`/proc/${pid}/cmdline`) ? readText(`/proc/${pid}/cmdline`) : ""));
  expect(commands.filter((command) => command.includes(other.folder))).toEqual([]);
});

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
