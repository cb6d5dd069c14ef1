import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync, statSync, truncateSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { DaemonSpec, DaemonSupervisor } from "../contracts/daemon.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { run } from "../host/run.ts";
import { startTimeOf } from "../host/process.ts";
import { commandHash } from "./launch.ts";
import { findMarkedProcesses, MARKS } from "./proc.ts";
import { createDaemonSupervisor } from "./supervisor.ts";

let folder: string;
let instanceId: string;
const supervisors: DaemonSupervisor[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-daemons-"));
  instanceId = randomIds.hex(6);
});

afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) supervisor.release();
  await (await newSupervisor()).stopAll();
  expect(findMarkedProcesses(instanceId)).toEqual([]);
  expect(readdirSync("/sys/fs/cgroup").flatMap((entry) => instanceCgroups(entry))).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

function instanceCgroups(entry: string): string[] {
  const path = join("/sys/fs/cgroup", entry);
  const within = statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [];
  return [path, ...within].filter((name) => name.includes(instanceId));
}

async function newSupervisor(): Promise<DaemonSupervisor> {
  const supervisor = await createDaemonSupervisor({ config: { instanceId, runDir: folder }, clock: systemClock, logger: silentLogger });
  supervisors.push(supervisor);
  return supervisor;
}

/** A small HTTP server on a unix socket, that answers its pid. */
const SERVER = `require("node:http").createServer((q,r)=>r.end(String(process.pid))).listen(process.argv[1],()=>console.log("listening"))`;

function server(name: string, changes: Partial<DaemonSpec> = {}): DaemonSpec {
  const socket = join(folder, `${name}.sock`);
  rmSync(socket, { force: true });
  return {
    name,
    command: [process.execPath, "-e", `try{require("node:fs").unlinkSync(process.argv[1])}catch{};${SERVER}`, socket],
    logFile: join(folder, "log", `${name}.log`),
    ready: async () => (await answerOf(socket)) !== undefined,
    readyTimeoutMs: 20_000,
    ...changes,
  };
}

async function answerOf(socket: string): Promise<string | undefined> {
  const { request } = await import("node:http");
  return await new Promise((resolve) => {
    const call = request({ socketPath: socket, path: "/" }, (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    });
    call.on("error", () => resolve(undefined));
    call.end();
  });
}

function sleeper(name: string, changes: Partial<DaemonSpec> = {}): DaemonSpec {
  return {
    name,
    command: ["/bin/sleep", "1000"],
    logFile: join(folder, `${name}.log`),
    ready: async () => true,
    readyTimeoutMs: 20_000,
    ...changes,
  };
}

/** What is looked at may go while it is looked at: that is no yes. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = systemClock.steadyMs() + 30_000;
  const holds = async (): Promise<boolean> => await condition();
  while (!(await holds().catch(() => false))) {
    if (systemClock.steadyMs() > deadlineMs) throw new Error(`waited 30 s for: ${what}`);
    await systemClock.sleep(10);
  }
}

test("a daemon runs under its own pid, in its own session, with its output in the log", async () => {
  const supervisor = await newSupervisor();
  const daemon = await supervisor.ensure(server("web"));
  const pid = daemon.pid();
  expect(await answerOf(join(folder, "web.sock"))).toBe(String(pid));
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  expect(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]).toBe(String(pid));
  await until("its first words in the log", () => readFileSync(join(folder, "log/web.log"), "utf8").includes("listening"));
  expect(supervisor.list()).toEqual([{ name: "web", pid, restarts: 0 }]);
});

test("a daemon is in a cgroup of its own on every hierarchy that takes it", async () => {
  const daemon = await (await newSupervisor()).ensure(sleeper("grouped"));
  const lines = readFileSync(`/proc/${daemon.pid()}/cgroup`, "utf8").trim().split("\n");
  const own = lines.filter((line) => /tidegate-[0-9a-f]{6}(-daemons|\/daemons)\/grouped$/.test(line));
  expect(own.length).toBeGreaterThan(0);
  await daemon.stop();
  for (const line of own) {
    const [, controllers = "", path = ""] = line.split(":");
    expect(existsSync(join("/sys/fs/cgroup", controllers.replace("name=", "") || "unified", path))).toBe(false);
  }
});

test("it gets its own environment and not Tidegate's", async () => {
  process.env["TIDEGATE_TEST_SECRET"] = "secret";
  const daemon = await (await newSupervisor()).ensure(sleeper("env", { environment: { GREETING: "hello" } }));
  const environment = readFileSync(`/proc/${daemon.pid()}/environ`, "utf8");
  expect(environment).toContain("GREETING=hello");
  expect(environment).not.toContain("secret");
});

test("one that dies is started again, and its owner is told after it serves", async () => {
  const supervisor = await newSupervisor();
  const served: (string | undefined)[] = [];
  const socket = join(folder, "crash.sock");
  const daemon = await supervisor.ensure(server("crash", { onRestart: async () => void served.push(await answerOf(socket)) }));
  const first = daemon.pid();
  daemon.signal("SIGKILL");
  await until("onRestart", () => served.length === 1);
  expect(served[0]).toBe(String(daemon.pid()));
  expect(daemon.pid()).not.toBe(first);
  expect(supervisor.list()).toEqual([{ name: "crash", pid: daemon.pid(), restarts: 1, lastExit: "signal SIGKILL" }]);
});

test("one that is killed as it starts is started again before its owner hears of it", async () => {
  const [starts, up] = [join(folder, "starts"), join(folder, "up")];
  const script = `echo >>${starts}; [ $(wc -l <${starts}) -gt 2 ] || kill -KILL $$; : >${up}; exec sleep 1000`;
  const spec = sleeper("shot", { command: ["/bin/sh", "-c", script], ready: async () => existsSync(up) });
  const daemon = await (await newSupervisor()).ensure(spec);
  expect(readFileSync(starts, "utf8")).toBe("\n\n\n");
  expect(startTimeOf(daemon.pid() ?? 0)).toBeDefined();
});

test("who asks for one that has just died gets it once it is back", async () => {
  const supervisor = await newSupervisor();
  const spec = server("back");
  const daemon = await supervisor.ensure(spec);
  const first = daemon.pid();
  daemon.signal("SIGKILL");
  const again = await supervisor.ensure(spec);
  expect(again.pid()).not.toBe(first);
  expect(await answerOf(join(folder, "back.sock"))).toBe(String(again.pid()));
});

test("one that is still on its way to its program when its starter is killed is adopted, not doubled", async () => {
  const [spec, go] = [sleeper("early"), join(folder, "go")];
  const script = `while [ ! -e ${go} ]; do :; done; export ${MARKS.pid}=$$; exec /bin/sleep 1000`;
  const marks = { [MARKS.instance]: instanceId, [MARKS.daemon]: spec.name, [MARKS.commandHash]: commandHash(spec) };
  const child = spawn("/bin/sh", ["-c", script], { env: marks, stdio: "ignore" });
  expect(findMarkedProcesses(instanceId)).toMatchObject([{ pid: child.pid, daemon: "early" }]);
  const ensured = (await newSupervisor()).ensure(spec);
  writeFileSync(go, "");
  expect((await ensured).pid()).toBe(child.pid);
});

test("one that keeps dying is tried again and again", async () => {
  const supervisor = await newSupervisor();
  const flag = join(folder, "may-run");
  writeFileSync(flag, "");
  const spec = sleeper("flapping", { command: ["/bin/sh", "-c", `[ -e ${flag} ] || exit 3; exec sleep 1000`] });
  const daemon = await supervisor.ensure(spec);
  unlinkSync(flag);
  daemon.signal("SIGKILL");
  await until("two failed restarts", () => (supervisor.list()[0]?.restarts ?? 0) >= 2);
  writeFileSync(flag, "");
  await until("it runs", () => daemon.pid() !== undefined && readFileSync(`/proc/${daemon.pid()}/cmdline`, "utf8").startsWith("sleep"));
});

test("a released daemon goes on; the next supervisor adopts it, and restarts it when it dies", async () => {
  const first = await newSupervisor();
  const pid = (await first.ensure(server("adopt"))).pid();
  first.release();
  const second = await newSupervisor();
  expect(second.list()).toEqual([{ name: "adopt", pid, restarts: 0 }]);
  let restarts = 0;
  const spec = server("adopt", { onRestart: async () => void restarts++ });
  writeFileSync(join(folder, "adopt.sock"), ""); // server() removed the socket's name; the old process still listens on nothing reachable
  const daemon = await second.ensure({ ...spec, ready: async () => true });
  expect(daemon.pid()).toBe(pid);
  daemon.signal("SIGKILL");
  await until("restart of the adopted one", () => restarts === 1);
  expect(daemon.pid()).not.toBe(pid);
});

test("daemons outlive a SIGKILL of the process that started them, recorded or not", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "testing/start-and-hang.ts"), instanceId, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = Number(await new Promise<string>((resolve) => child.stdout.once("data", (data: Buffer) => resolve(data.toString()))));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  expect(startTimeOf(pid)).toBeDefined();

  // As though the kill had come between the start and the record.
  rmSync(join(folder, "daemons"), { recursive: true });
  const supervisor = await newSupervisor();
  const daemon = await supervisor.ensure(sleeper("orphan"));
  expect(daemon.pid()).toBe(pid);
  expect(readdirSync(join(folder, "daemons"))).toEqual(["orphan.json"]);
});

test("children of a daemon, which inherit its marks, are not taken for it", async () => {
  const supervisor = await newSupervisor();
  const daemon = await supervisor.ensure(sleeper("parent", { command: ["/bin/sh", "-c", "sleep 1000 & wait"] }));
  const children = (): string => readFileSync(`/proc/${daemon.pid()}/task/${daemon.pid()}/children`, "utf8").trim();
  await until("its child", () => children() !== "");
  const child = Number(children());
  expect(findMarkedProcesses(instanceId).map((found) => found.pid)).toEqual([daemon.pid()]);
  await daemon.stop();
  expect(startTimeOf(child)).toBeDefined();
  process.kill(child, "SIGKILL");
  await until("the child is gone", () => startTimeOf(child) === undefined);
});

test("a changed command replaces the running daemon; the same one does not", async () => {
  const supervisor = await newSupervisor();
  const first = await supervisor.ensure(sleeper("changing"));
  const pid = first.pid() ?? 0;
  expect((await supervisor.ensure(sleeper("changing"))).pid()).toBe(pid);
  const second = await supervisor.ensure(sleeper("changing", { command: ["/bin/sleep", "2000"] }));
  expect(second.pid()).not.toBe(pid);
  expect(startTimeOf(pid)).toBeUndefined();
});

test("a record whose pid now belongs to another process is not adopted", async () => {
  const first = await newSupervisor();
  const daemon = await first.ensure(sleeper("reused"));
  const pid = daemon.pid() ?? 0;
  const record = join(folder, "daemons/reused.json");
  const text = readFileSync(record, "utf8");
  await daemon.stop();
  expect(existsSync(record)).toBe(false);
  writeFileSync(record, text.replace(`"pid":${pid}`, `"pid":${process.pid}`));
  const second = await newSupervisor();
  expect(second.list()).toEqual([]);
  expect((await second.ensure(sleeper("reused"))).pid()).not.toBe(process.pid);
});

test("a daemon that never gets ready fails with the last lines of its log and leaves nothing running", async () => {
  const supervisor = await newSupervisor();
  const spec = sleeper("never", { command: ["/bin/sh", "-c", "echo no such device; exit 7"], ready: async () => false });
  await expect(supervisor.ensure(spec)).rejects.toThrow(/daemon never ended \(exit code 7\) before it was ready[^]*no such device/);
  const hung = sleeper("hung", { ready: async () => false, readyTimeoutMs: 50 });
  await expect(supervisor.ensure(hung)).rejects.toThrow(/was not ready within 50 ms/);
  expect(findMarkedProcesses(instanceId)).toEqual([]);
  expect(supervisor.list()).toEqual([]);
});

test("a daemon that cannot be recorded, as where the run folder is full, is not left running unknown", async () => {
  const supervisor = await newSupervisor();
  // A file where the records' folder would be.
  writeFileSync(join(folder, "daemons"), "");
  await expect(supervisor.ensure(sleeper("unrecorded"))).rejects.toThrow();
  expect(findMarkedProcesses(instanceId)).toEqual([]);
  unlinkSync(join(folder, "daemons"));
  expect((await supervisor.ensure(sleeper("unrecorded"))).pid()).toBeDefined();
});

test("stopAll ends what an earlier run started", async () => {
  const first = await newSupervisor();
  const pids = await Promise.all(["a", "b"].map(async (name) => (await first.ensure(sleeper(name))).pid() ?? 0));
  first.release();
  const second = await newSupervisor();
  await second.stopAll();
  expect(pids.map(startTimeOf)).toEqual([undefined, undefined]);
  expect(second.list()).toEqual([]);
  expect(readdirSync(join(folder, "daemons"))).toEqual([]);
});

test("stop while it is being restarted ends it for good", async () => {
  const supervisor = await newSupervisor();
  let calls = 0;
  const daemon = await supervisor.ensure(sleeper("racing", { ready: async () => calls++ === 0 }));
  daemon.signal("SIGKILL");
  await until("a restart is under way", () => calls > 1);
  await daemon.stop();
  expect(findMarkedProcesses(instanceId)).toEqual([]);
});

test("a daemon runs inside a network namespace under its own pid, and is not adopted into another", async () => {
  const namespace = `tg-${instanceId}-t`;
  await run(["ip", "netns", "add", namespace]);
  try {
    const netnsPath = `/run/netns/${namespace}`;
    const first = await newSupervisor();
    const pid = (await first.ensure(sleeper("inside", { netnsPath }))).pid();
    expect(statSync(`/proc/${pid}/ns/net`).ino).toBe(statSync(netnsPath).ino);
    first.release();
    const again = await newSupervisor();
    expect((await again.ensure(sleeper("inside", { netnsPath }))).pid()).toBe(pid);
    again.release();
    await run(["ip", "netns", "delete", namespace]);
    await run(["ip", "netns", "add", namespace]);
    const daemon = await (await newSupervisor()).ensure(sleeper("inside", { netnsPath }));
    expect(daemon.pid()).not.toBe(pid);
    expect(statSync(`/proc/${daemon.pid()}/ns/net`).ino).toBe(statSync(netnsPath).ino);
  } finally {
    await run(["ip", "netns", "delete", namespace]);
  }
});

test("the log of a running daemon is cut beneath it, and it goes on at its new end", async () => {
  const minute = Promise.withResolvers<() => void>();
  const clock: Clock = {
    ...systemClock,
    setTimer(delayMs, run) {
      if (delayMs !== 60_000) return systemClock.setTimer(delayMs, run);
      minute.resolve(run);
      return { [Symbol.dispose]() {} };
    },
  };
  const logFile = join(folder, "long.log");
  const spec = server("long", { logFile, command: ["/bin/sh", "-c", "while :; do echo again; /bin/sleep 0.01; done"], ready: async () => true });
  const supervisor = await createDaemonSupervisor({ config: { instanceId, runDir: folder }, clock, logger: silentLogger });
  supervisors.push(supervisor);
  const daemon = await supervisor.ensure(spec);
  // As though it had been written by the daemon; what it appends comes after.
  truncateSync(logFile, 11 * 1024 * 1024);
  await until("it went on", () => statSync(logFile).size > 11 * 1024 * 1024);
  (await minute.promise)();
  await until("it is cut", () => statSync(logFile).size < 1024 * 1024 && statSync(logFile).size > 0);
  expect(readFileSync(logFile, "utf8")).toMatch(/^(again\n)+$/);
  expect(statSync(`${logFile}.1`).size).toBeGreaterThan(11 * 1024 * 1024);
  await (await newSupervisor()).stop(daemon.name);
});

test("a log over 10 MiB is put aside at the start", async () => {
  const logFile = join(folder, "big.log");
  writeFileSync(logFile, "old");
  truncateSync(logFile, 11 * 1024 * 1024);
  await (await newSupervisor()).ensure(sleeper("big", { logFile }));
  expect(statSync(logFile).size).toBe(0);
  expect(statSync(`${logFile}.1`).size).toBe(11 * 1024 * 1024);
});
