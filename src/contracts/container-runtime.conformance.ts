import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../core/clock.ts";
import type { ContainerRuntime, ImageInfo, RuntimeContainer, RuntimeContainerSpec, RuntimeEvent, Sandbox } from "./container-runtime.ts";

/** A runtime under test. */
export interface RuntimeHarness {
  readonly runtime: ContainerRuntime;
  /** An image with a shell, present without a pull. */
  readonly shellImage: string;
  /** The name of no image, in a registry that answers so or with a pull policy that asks none. */
  readonly missingImage: string;
  readonly runtimeHandler: string;
  /** Absolute in the hierarchy; the suite makes groups beneath it. */
  readonly cgroupRoot: string;
  readonly logRoot: string;
  /** Another connection to the same runtime, as of a control plane that was restarted; the old one is closed by it. */
  reconnect?(): Promise<ContainerRuntime>;
  /** Kills the runtime's own daemon and resolves when it serves again. */
  restartDaemon?(): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * The programs of the suite, by container name: real runtimes run `command` in the shell image, simulated ones script the same behaviour by
 * the name.
 */
export const CONFORMANCE_PROGRAMS = {
  /** Says so once it can be told to stop, runs until then, and ends with 143. */
  forever: "trap 'exit 143' TERM; echo ready; while :; do sleep 0.1; done",
  /** Ends at once with exit code 3. */
  "exits-3": "exit 3",
  /** Does not end by SIGTERM. */
  stubborn: "trap '' TERM; while :; do sleep 0.1; done",
  /** Writes a line to each of its outputs, and ends with 0. */
  talker: "echo hello; echo trouble >&2",
} as const;

/** What the suite runs by execSync, and what it must answer; `undefined`: it does not end in time. */
export const CONFORMANCE_EXECS = [
  { command: ["/bin/sh", "-c", "echo out; echo err >&2; exit 5"], answer: { exitCode: 5, stdout: "out\n", stderr: "err\n" } },
  { command: ["/bin/sh", "-c", "exit 0"], answer: { exitCode: 0, stdout: "", stderr: "" } },
  { command: ["/bin/sleep", "600"], answer: undefined },
] as const;

export interface ConformanceOptions {
  makeRuntime(): Promise<RuntimeHarness>;
  /** The runtime writes CRI log files. */
  readonly writesLogs: boolean;
  /** The harness has `reconnect` / `restartDaemon`. */
  readonly reconnects: boolean;
  readonly restarts: boolean;
}

type Program = keyof typeof CONFORMANCE_PROGRAMS;

/** What every ContainerRuntime must do. To be called at the top level of a vitest file. */
export function containerRuntimeConformance(name: string, options: ConformanceOptions): void {
  describe(`${name} as a ContainerRuntime`, () => {
    let harness: RuntimeHarness;
    let runtime: ContainerRuntime;
    let image: ImageInfo;
    let counter = 0;
    const made: Sandbox[] = [];

    beforeAll(async () => {
      harness = await options.makeRuntime();
      runtime = harness.runtime;
      image = await runtime.pullImage({ image: harness.shellImage, policy: "if-not-present" });
    });
    afterEach(async () => {
      for (const sandbox of made.splice(0)) {
        await runtime.stopSandbox(sandbox.id);
        await runtime.removeSandbox(sandbox.id);
      }
    });
    afterAll(async () => {
      await harness.dispose();
    });

    function sandboxSpec(name = `conformance-${counter++}`): Parameters<ContainerRuntime["createSandbox"]>[0] {
      return {
        name,
        runtimeHandler: harness.runtimeHandler,
        hostname: name,
        cgroupParent: `${harness.cgroupRoot}/${name}`,
        logDirectory: join(harness.logRoot, name),
        sharePidNamespace: false,
        labels: { owner: "conformance", sandbox: name },
      };
    }

    async function newSandbox(): Promise<Sandbox> {
      const sandbox = await runtime.createSandbox(sandboxSpec());
      made.push(sandbox);
      return sandbox;
    }

    function containerSpec(program: Program, changes: Partial<RuntimeContainerSpec> = {}): RuntimeContainerSpec {
      return {
        name: program,
        attempt: 0,
        image,
        entryPoint: ["/bin/sh", "-c"],
        command: [CONFORMANCE_PROGRAMS[program]],
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
        logPath: `${program}/0.log`,
        labels: { container: program },
        ...changes,
      };
    }

    async function look(id: string): Promise<RuntimeContainer | undefined> {
      return (await runtime.listContainers()).find((container) => container.id === id);
    }

    async function started(program: Program, sandbox?: Sandbox): Promise<{ readonly id: string; readonly sandbox: Sandbox }> {
      const in_ = sandbox ?? (await newSandbox());
      const id = await runtime.createContainer(in_, containerSpec(program));
      await runtime.startContainer(id);
      if (program === "forever") await handlesTerm(in_);
      return { id, sandbox: in_ };
    }

    /** Waits until SIGTERM meets the program's own handler: before that it would be ignored, and the stop would last its whole grace. */
    async function handlesTerm(sandbox: Sandbox): Promise<void> {
      if (!options.writesLogs) return;
      const path = join(harness.logRoot, sandbox.name, "forever/0.log");
      await until("the program is ready", async () => (await readFile(path, "utf8").catch(() => "")).includes("ready"));
    }

    async function exited(id: string): Promise<RuntimeContainer> {
      await until("the container has exited", async () => (await look(id))?.state === "exited");
      return (await look(id)) as RuntimeContainer;
    }

    test("tells what it is", async () => {
      const { name, version, runtimeHandlers } = await runtime.fingerprint();
      expect([name, version].every((text) => text.length > 0)).toBe(true);
      expect(runtimeHandlers).toContain(harness.runtimeHandler);
    });

    test("a sandbox is made once for a name, listed with its labels, and removed for good", async () => {
      const spec = sandboxSpec();
      const sandbox = await runtime.createSandbox(spec);
      made.push(sandbox);
      expect(sandbox).toMatchObject({ name: spec.name, ready: true, labels: spec.labels });
      expect(sandbox.netnsPath).toBeDefined();
      expect(Math.abs(sandbox.createdAtMs - systemClock.nowMs())).toBeLessThan(120_000);
      expect(await runtime.createSandbox(spec)).toEqual(sandbox);
      expect(await runtime.listSandboxes()).toContainEqual(sandbox);

      await runtime.stopSandbox(sandbox.id);
      await runtime.stopSandbox(sandbox.id);
      const stopped = (await runtime.listSandboxes()).find((other) => other.id === sandbox.id);
      expect(stopped).toMatchObject({ ready: false });
      expect(stopped?.netnsPath).toBeUndefined();
      await runtime.removeSandbox(sandbox.id);
      await runtime.removeSandbox(sandbox.id);
      expect((await runtime.listSandboxes()).filter((other) => other.id === sandbox.id)).toEqual([]);
    });

    test("sandboxes made at once under one name are one", async () => {
      const spec = sandboxSpec();
      const all = await Promise.all([runtime.createSandbox(spec), runtime.createSandbox(spec), runtime.createSandbox(spec)]);
      made.push(...all.slice(0, 1));
      expect(new Set(all.map((sandbox) => sandbox.id)).size).toBe(1);
    });

    test("what is not there can be stopped and removed", async () => {
      const nothing = "0".repeat(64);
      await runtime.stopSandbox(nothing);
      await runtime.removeSandbox(nothing);
      await runtime.stopContainer(nothing, { graceSeconds: 1 });
      await runtime.removeContainer(nothing);
      expect(await runtime.inspectContainer?.(nothing)).toBeUndefined();
      expect(await runtime.inspectSandbox?.(nothing)).toBeUndefined();
    });

    test("a container's life: created, running, exited, gone; each step twice", async () => {
      const sandbox = await newSandbox();
      const spec = containerSpec("forever", { labels: { container: "forever", "a/b": "c=d" } });
      const id = await runtime.createContainer(sandbox, spec);
      expect(await runtime.createContainer(sandbox, spec)).toBe(id);
      expect(await look(id)).toMatchObject({ sandboxId: sandbox.id, name: "forever", attempt: 0, state: "created", labels: spec.labels });

      await runtime.startContainer(id);
      await runtime.startContainer(id);
      const running = await look(id);
      expect(running).toMatchObject({ state: "running", oomKilled: false });
      expect(running?.startedAtMs).toBeGreaterThanOrEqual(running?.createdAtMs ?? Infinity);
      expect(running?.exitCode).toBeUndefined();

      await handlesTerm(sandbox);
      await runtime.stopContainer(id, { graceSeconds: 30 });
      await runtime.stopContainer(id, { graceSeconds: 30 });
      const ended = await look(id);
      expect(ended).toMatchObject({ state: "exited", exitCode: 143, oomKilled: false });
      expect(ended?.finishedAtMs).toBeGreaterThanOrEqual(ended?.startedAtMs ?? Infinity);
      await runtime.startContainer(id);
      expect(await look(id)).toMatchObject({ state: "exited", exitCode: 143 });

      await runtime.removeContainer(id);
      await runtime.removeContainer(id);
      expect(await look(id)).toBeUndefined();
    });

    test("inspect tells the same as the lists", async () => {
      const { id, sandbox } = await started("forever");
      if (runtime.inspectContainer !== undefined) expect(await runtime.inspectContainer(id)).toEqual(await look(id));
      if (runtime.inspectSandbox !== undefined) expect(await runtime.inspectSandbox(sandbox.id)).toEqual(sandbox);
    });

    test("a container that ends by itself keeps its exit code", async () => {
      const { id } = await started("exits-3");
      expect(await exited(id)).toMatchObject({ exitCode: 3, oomKilled: false });
    });

    test("one that does not end by its signal is killed after the grace", async () => {
      const { id } = await started("stubborn");
      await runtime.stopContainer(id, { graceSeconds: 1 });
      expect(await look(id)).toMatchObject({ state: "exited", exitCode: 137, oomKilled: false });
    });

    test("attempts of one name are different containers", async () => {
      const { id, sandbox } = await started("exits-3");
      await exited(id);
      const second = await runtime.createContainer(sandbox, containerSpec("exits-3", { attempt: 1, logPath: "exits-3/1.log" }));
      expect(second).not.toBe(id);
      expect((await look(second))?.attempt).toBe(1);
    });

    test("the end of a sandbox ends its containers", async () => {
      const { id, sandbox } = await started("stubborn");
      await runtime.stopSandbox(sandbox.id);
      expect(await look(id)).toMatchObject({ state: "exited", exitCode: 137 });
      await runtime.removeSandbox(sandbox.id);
      expect(await look(id)).toBeUndefined();
    });

    test("no container is made in a sandbox that is gone", async () => {
      const sandbox = await newSandbox();
      await runtime.stopSandbox(sandbox.id);
      await runtime.removeSandbox(sandbox.id);
      await expect(runtime.createContainer(sandbox, containerSpec("forever"))).rejects.toMatchObject({ kind: "not-found" });
    });

    test("a command run inside answers its exit code and outputs", async () => {
      const { id } = await started("forever");
      for (const { command, answer } of CONFORMANCE_EXECS) {
        const call = runtime.execSync(id, { command, timeoutMs: answer === undefined ? 300 : 20_000 });
        if (answer === undefined) await expect(call).rejects.toMatchObject({ kind: "unavailable" });
        else expect(await call).toEqual(answer);
      }
    });

    test("no command runs in a container that does not", async () => {
      const { id } = await started("exits-3");
      await exited(id);
      await expect(runtime.execSync(id, { command: ["/bin/sh", "-c", "exit 0"], timeoutMs: 30_000 })).rejects.toMatchObject({ kind: "conflict" });
    });

    test("statistics are there while it runs", async () => {
      const { id } = await started("forever");
      expect(await runtime.stats(id)).toMatchObject({ cpuUsageNanos: expect.any(Number), memoryBytes: expect.any(Number) });
      await runtime.stopContainer(id, { graceSeconds: 30 });
      await until("statistics are gone", async () => (await runtime.stats(id)) === undefined);
    });

    test("starts and exits are told, when the lists agree with them", async () => {
      const events: { readonly event: RuntimeEvent; readonly seen: Promise<RuntimeContainer | undefined> }[] = [];
      using _watch = runtime.watch((event) => void events.push({ event, seen: event.type === "container" ? look(event.containerId) : NOBODY }));
      const { id, sandbox } = await started("forever");
      const of = (state: string) => async (): Promise<boolean> => {
        for (const { event, seen } of events) {
          if (event.type === "container" && event.containerId === id && (await seen)?.state === state) return event.sandboxId === sandbox.id;
        }
        return false;
      };
      await until("an event of its start", of("running"));
      await runtime.stopContainer(id, { graceSeconds: 30 });
      await until("an event of its exit", of("exited"));
    });

    test("the end of a sandbox is told", async () => {
      const events: RuntimeEvent[] = [];
      const sandbox = await newSandbox();
      using _watch = runtime.watch((event) => void events.push(event));
      await runtime.stopSandbox(sandbox.id);
      await until("its event", () => events.some((event) => event.type === "sandbox" && event.sandboxId === sandbox.id));
    });

    test("an image that is nowhere is not found", async () => {
      await expect(runtime.pullImage({ image: harness.missingImage, policy: "never" })).rejects.toMatchObject({ kind: "not-found" });
    });

    test("groups are limited and removed, in any order, twice", async () => {
      const group = `${harness.cgroupRoot}/group-${counter++}`;
      await runtime.removeGroup(group);
      await runtime.limitGroup(group, { memoryBytes: 64 * 1024 * 1024, cpuUnits: 256, processes: 100 });
      await runtime.limitGroup(group, { memoryBytes: 128 * 1024 * 1024, cpuUnits: 512, processes: 200 });
      expect(await runtime.refusedForks(group)).toBe(0);
      const name = group.slice(harness.cgroupRoot.length + 1);
      expect(await runtime.listGroups(harness.cgroupRoot)).toContain(name);
      await runtime.removeGroup(group);
      expect(await runtime.listGroups(harness.cgroupRoot)).not.toContain(name);
      expect(await runtime.listGroups(`${harness.cgroupRoot}-that-is-not-there`)).toEqual([]);
      await runtime.removeGroup(group);
    });

    test("what a container has in its own layer is told", async () => {
      const { id } = await started("forever");
      await until("its usage", async () => (await runtime.layerUsage()).has(id));
    });

    if (options.writesLogs) {
      test("outputs are in the log file, a line each with time and stream", async () => {
        const { id, sandbox } = await started("talker");
        await exited(id);
        const file = join(harness.logRoot, sandbox.name, "talker/0.log");
        const lines = async (): Promise<string[]> => (await readFile(file, "utf8")).trimEnd().split("\n").sort(byStream);
        await until("two lines", async () => (await lines()).length === 2);
        expect((await lines()).map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) /, ""))).toEqual([
          "stderr F trouble",
          "stdout F hello",
        ]);
      });
    }

    if (options.reconnects) {
      test("another connection finds what runs, by its labels", async () => {
        const { id, sandbox } = await started("forever");
        const before = await look(id);
        runtime = (await harness.reconnect?.()) as ContainerRuntime;
        expect(await look(id)).toEqual(before);
        expect(await runtime.listSandboxes()).toContainEqual(sandbox);
        const events: RuntimeEvent[] = [];
        using _watch = runtime.watch((event) => void events.push(event));
        await runtime.stopContainer(id, { graceSeconds: 30 });
        await until("an event", () => events.some((event) => event.type === "container" && event.sandboxId === sandbox.id));
      });
    }

    if (options.restarts) {
      test("the runtime's daemon may die: containers go on, and a resync is told", async () => {
        const { id, sandbox } = await started("forever");
        const before = await look(id);
        const events: RuntimeEvent[] = [];
        using _watch = runtime.watch((event) => void events.push(event));
        await harness.restartDaemon?.();
        await until("resync", () => events.some((event) => event.type === "resync"));
        expect(await look(id)).toEqual(before);
        expect((await runtime.listSandboxes()).find((other) => other.id === sandbox.id)).toEqual(sandbox);
        expect(await runtime.execSync(id, { command: ["/bin/sh", "-c", "exit 0"], timeoutMs: 20_000 })).toMatchObject({ exitCode: 0 });
        await runtime.stopContainer(id, { graceSeconds: 30 });
        expect(await look(id)).toMatchObject({ state: "exited", exitCode: 143 });
      });
    }
  });
}

const NOBODY = Promise.resolve(undefined);

function byStream(a: string, b: string): number {
  return (a.split(" ")[1] ?? "") < (b.split(" ")[1] ?? "") ? -1 : 1;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = systemClock.nowMs() + 30_000;
  while (!(await condition())) {
    if (systemClock.nowMs() > deadlineMs) throw new Error(`waited 30 s for: ${what}`);
    await systemClock.sleep(10);
  }
}
