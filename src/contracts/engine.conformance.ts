import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../core/clock.ts";
import type { ProblemKind } from "../core/problem.ts";
import type { Engine, StopReason, WorkloadState, WorkloadStatus } from "./engine.ts";
import { WORKLOAD_STATES } from "./engine.ts";
import type { ContainerSpec, Workload } from "./workload.ts";

/** What a container of the suite does; each engine's harness has an image or a script for it. */
export type ContainerDoes =
  /** Runs until it is told to stop, then ends with 0. */
  | { readonly type: "serves" }
  /** Ends by itself. */
  | { readonly type: "exits"; readonly code: number; readonly afterMs?: number }
  /** Pays no heed to its stop signal. */
  | { readonly type: "ignores-stop" }
  /** Serves; its health command (`/healthy`, exit code 0 or 1) succeeds after a while. */
  | { readonly type: "becomes-healthy"; readonly afterMs: number }
  /** Serves; its health command fails for ever. */
  | { readonly type: "stays-unhealthy" }
  /** Takes more memory than it may have. */
  | { readonly type: "eats-memory" }
  /** Its image is in no registry. */
  | { readonly type: "missing-image" };

/** One engine under test, made afresh for each test. */
export interface EngineHarness {
  /** The engine now; another object after `restart`. */
  engine(): Engine;
  /** A container that does what it is told; its health probe, where it has one, runs each second. */
  container(name: string, does: ContainerDoes, more?: Partial<ContainerSpec>): ContainerSpec;
  /** A workload with an id of its own, as small as the engine allows. */
  workload(containers: readonly ContainerSpec[], more?: Partial<Workload>): Workload;
  /** Ends the compute layer as `kill -9` would and starts another over the same store and runtime. */
  restart(): Promise<void>;
  /** What is left of workloads outside the store: sandboxes, containers, attachments, groups. Warm sandboxes are none. */
  leftovers(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const USER: StopReason = { code: "UserInitiated", reason: "Task stopped by user" };
const PATIENCE_MS = 50_000;

/** The suite that every Engine passes. Call it inside a `describe`. Waits on conditions, in real time. */
export function engineConformance(open: () => Promise<EngineHarness>): void {
  let harness: EngineHarness;
  beforeEach(async () => {
    harness = await open();
  });
  afterEach(async () => {
    await harness.close();
  });
  const using: Using = (run) => () => run(harness);
  life(using);
  ends(using);
  ordering(using);
  survival(using);
}

type Using = (run: (harness: EngineHarness) => Promise<void>) => () => Promise<void>;

/** Resolves with the status once it satisfies `condition`; fails with what it was last. */
async function until(harness: EngineHarness, id: string, condition: (status: WorkloadStatus) => boolean): Promise<WorkloadStatus> {
  const engine = harness.engine();
  const met = Promise.withResolvers<WorkloadStatus>();
  const look = async (): Promise<void> => {
    const view = await engine.get(id);
    if (view !== undefined && condition(view.status)) met.resolve(view.status);
  };
  const watch = engine.watch((view) => {
    if (view.workload.id === id) void look();
  });
  const patience = new AbortController();
  const timedOut = systemClock.sleep(PATIENCE_MS, patience.signal).then(async () => {
    throw new Error(`waited in vain: ${JSON.stringify((await engine.get(id))?.status, undefined, 1)}`);
  });
  try {
    await look();
    return await Promise.race([met.promise, timedOut]);
  } finally {
    timedOut.catch(() => {});
    patience.abort(new Error("no longer waited for"));
    watch[Symbol.dispose]();
  }
}

const reaches = (harness: EngineHarness, id: string, state: WorkloadState): Promise<WorkloadStatus> =>
  until(harness, id, (status) => WORKLOAD_STATES.indexOf(status.state) >= WORKLOAD_STATES.indexOf(state));
const containerOf = (status: WorkloadStatus, name: string): WorkloadStatus["containers"][number] | undefined =>
  status.containers.find((container) => container.name === name);
const refusal = (kind: ProblemKind): object => expect.objectContaining({ name: "Problem", kind }) as object;

async function startAll(harness: EngineHarness, containers: readonly ContainerSpec[], more: Partial<Workload> = {}): Promise<string> {
  const workload = harness.workload(containers, more);
  await harness.engine().start(workload);
  return workload.id;
}

async function stopAndWait(harness: EngineHarness, id: string): Promise<WorkloadStatus> {
  await harness.engine().stop(id, USER);
  return reaches(harness, id, "STOPPED");
}

function life(using: Using): void {
  it(
    "takes a debugger into what runs, once, without a part in its life",
    using(async (harness) => {
      const engine = harness.engine();
      const id = await startAll(harness, [harness.container("web", { type: "serves" })]);
      await reaches(harness, id, "RUNNING");
      const debug = harness.container("debug", { type: "exits", code: 3 }, { kind: "ephemeral", essential: false });
      for (let time = 0; time < 2; time++) await engine.addContainer?.(id, debug);
      const status = await until(harness, id, (each) => containerOf(each, "debug")?.state === "STOPPED");
      expect(status).toMatchObject({
        state: "RUNNING",
        containers: [
          { name: "web", state: "RUNNING" },
          { name: "debug", exitCode: 3, restartCount: 0 },
        ],
      });
      expect(containerOf(status, "debug")?.runtimeId).toMatch(/^[0-9a-f]{32}-\d{10}$/);
      await stopAndWait(harness, id);
      await expect(engine.addContainer?.(id, { ...debug, name: "late" })).rejects.toEqual(refusal("conflict"));
      await expect(engine.addContainer?.("nobody", debug)).rejects.toEqual(refusal("not-found"));
      expect(await harness.leftovers()).toEqual([]);
    }),
  );
  it(
    "runs a workload, stops it, leaves nothing, and forgets it when told",
    using(async (harness) => {
      const seen: WorkloadState[] = [];
      const versions: number[] = [];
      const watch = harness.engine().watch((view) => {
        seen.push(view.status.state);
        versions.push(view.status.version);
      });
      const id = await startAll(harness, [harness.container("web", { type: "serves" })]);
      expect((await harness.engine().get(id))?.status).toMatchObject({ id, desired: "RUNNING" });
      const running = await reaches(harness, id, "RUNNING");
      expect(running).toMatchObject({
        state: "RUNNING",
        health: "UNKNOWN",
        containers: [{ name: "web", state: "RUNNING", ready: true, restartCount: 0 }],
      });
      expect(running.network?.privateIpv4).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      expect(containerOf(running, "web")?.runtimeId).toMatch(/^[0-9a-f]{32}-\d{10}$/);
      expect(containerOf(running, "web")?.imageDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(running.acceptedAtMs).toBeLessThanOrEqual(running.connectivityAtMs ?? 0);
      expect(running.pullStartedAtMs).toBeLessThanOrEqual(running.pullStoppedAtMs ?? 0);
      expect(running.pullStoppedAtMs).toBeLessThanOrEqual(running.startedAtMs ?? 0);

      await expect(harness.engine().destroy(id)).rejects.toEqual(refusal("conflict"));
      await harness.engine().stop(id, USER);
      expect((await harness.engine().get(id))?.status).toMatchObject({ desired: "STOPPED", stop: USER });
      const stopped = await reaches(harness, id, "STOPPED");
      expect(stopped).toMatchObject({ state: "STOPPED", desired: "STOPPED", stop: USER, containers: [{ state: "STOPPED", ready: false }] });
      expect(containerOf(stopped, "web")?.exitCode).toBe(0);
      expect(stopped.startedAtMs).toBe(running.startedAtMs);
      expect(stopped.stoppingAtMs).toBeLessThanOrEqual(stopped.executionStoppedAtMs ?? 0);
      expect(stopped.executionStoppedAtMs).toBeLessThanOrEqual(stopped.stoppedAtMs ?? 0);
      expect(stopped.timeline.map((entry) => entry.phase)).toEqual(expect.arrayContaining(["PROVISIONING", "RUNNING", "STOPPED"]));
      expect(await harness.leftovers()).toEqual([]);

      watch[Symbol.dispose]();
      const order = seen.map((state) => WORKLOAD_STATES.indexOf(state));
      expect(order).toEqual([...order].sort((a, b) => a - b));
      expect(versions).toEqual(versions.map((_, index) => (versions[0] ?? 0) + index));
      await harness.engine().destroy(id);
      await harness.engine().destroy(id);
      expect(await harness.engine().get(id)).toBeUndefined();
    }),
  );

  it(
    "starts once however often it is told, and lists by labels",
    using(async (harness) => {
      const workload = harness.workload([harness.container("web", { type: "serves" })], { labels: { owner: "suite", group: "a" } });
      await Promise.all([harness.engine().start(workload), harness.engine().start(workload)]);
      const other = await startAll(harness, [harness.container("web", { type: "serves" })], { labels: { owner: "suite", group: "b" } });
      await reaches(harness, workload.id, "RUNNING");
      await harness.engine().start(workload);
      const idsOf = async (labels: Readonly<Record<string, string>>): Promise<readonly string[]> =>
        (await harness.engine().list({ labels })).map((view) => view.workload.id).toSorted();
      expect(await idsOf({ group: "a" })).toEqual([workload.id]);
      expect(await idsOf({ owner: "suite" })).toEqual([workload.id, other].toSorted());
      expect(await idsOf({ owner: "nobody" })).toEqual([]);
      await Promise.all([stopAndWait(harness, workload.id), stopAndWait(harness, other)]);
      await harness.engine().start(workload);
      expect((await harness.engine().get(workload.id))?.status.state).toBe("STOPPED");
      expect(await harness.leftovers()).toEqual([]);
    }),
  );

  it(
    "refuses what it does not know, and what it cannot promise memory for",
    using(async (harness) => {
      await expect(harness.engine().stop("0".repeat(32), USER)).rejects.toEqual(refusal("not-found"));
      await harness.engine().destroy("0".repeat(32));
      const vast = harness.workload([harness.container("web", { type: "serves" })], { memoryMiB: 1024 * 1024 * 1024 });
      await expect(harness.engine().start(vast)).rejects.toEqual(refusal("exhausted"));
      expect(await harness.engine().get(vast.id)).toBeUndefined();
    }),
  );

  it(
    "runs a command in a container, and only while it runs",
    using(async (harness) => {
      const engine = harness.engine();
      const id = await startAll(harness, [harness.container("web", { type: "becomes-healthy", afterMs: 0 })]);
      await until(harness, id, (status) => containerOf(status, "web")?.health === "HEALTHY");
      expect(await engine.exec?.(id, "web", { command: ["/healthy"], timeoutMs: 5000 })).toMatchObject({ exitCode: 0 });
      expect(await engine.stats?.(id, "web")).toMatchObject({ memoryBytes: expect.any(Number) as number });
      await stopAndWait(harness, id);
      await expect(engine.exec?.(id, "web", { command: ["/healthy"], timeoutMs: 5000 })).rejects.toEqual(refusal("conflict"));
      expect(await engine.stats?.(id, "web")).toBeUndefined();
    }),
  );
}

function ends(using: Using): void {
  it(
    "ends with an essential container, and stops the others",
    using(async (harness) => {
      const id = await startAll(harness, [
        harness.container("job", { type: "exits", code: 3, afterMs: 300 }),
        harness.container("side", { type: "serves" }, { essential: false }),
      ]);
      const stopped = await reaches(harness, id, "STOPPED");
      expect(stopped.stop).toEqual({ code: "EssentialContainerExited", reason: "Essential container in task exited" });
      expect(containerOf(stopped, "job")).toMatchObject({ state: "STOPPED", exitCode: 3 });
      expect(containerOf(stopped, "side")).toMatchObject({ state: "STOPPED", exitCode: 0 });
      expect(stopped.executionStoppedAtMs).toBe(containerOf(stopped, "job")?.finishedAtMs);
      expect(await harness.leftovers()).toEqual([]);
    }),
  );

  it(
    "ends at a deadline that it is given as it runs",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("web", { type: "serves" })]);
      await reaches(harness, id, "RUNNING");
      await harness.engine().refresh?.(id, { activeDeadlineSeconds: 1 });
      expect((await reaches(harness, id, "STOPPED")).stop?.code).toBe("DeadlineExceeded");
      await harness.engine().refresh?.(id, { activeDeadlineSeconds: 3600 });
      expect((await harness.engine().get(id))?.workload.activeDeadlineSeconds).toBe(1);
    }),
  );

  it(
    "goes on when a container that is not essential ends",
    using(async (harness) => {
      const id = await startAll(harness, [
        harness.container("web", { type: "serves" }),
        harness.container("once", { type: "exits", code: 1 }, { essential: false }),
      ]);
      const status = await until(harness, id, (each) => each.state === "RUNNING" && containerOf(each, "once")?.state === "STOPPED");
      expect(status.desired).toBe("RUNNING");
      expect(containerOf(status, "once")?.exitCode).toBe(1);
      await stopAndWait(harness, id);
    }),
  );

  it(
    "keeps the first reason for its stop",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("web", { type: "serves" })]);
      await reaches(harness, id, "RUNNING");
      await harness.engine().stop(id, { code: "ServiceSchedulerInitiated", reason: "first" });
      await harness.engine().stop(id, USER);
      expect((await reaches(harness, id, "STOPPED")).stop).toEqual({ code: "ServiceSchedulerInitiated", reason: "first" });
      await harness.engine().stop(id, USER);
      expect((await harness.engine().get(id))?.status.stop?.reason).toBe("first");
    }),
  );

  it(
    "may be stopped before it runs",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("web", { type: "serves" })]);
      const stopped = await stopAndWait(harness, id);
      expect(stopped.stop).toEqual(USER);
      expect(await harness.leftovers()).toEqual([]);
    }),
  );

  it(
    "kills what does not heed the stop signal within its grace",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("deaf", { type: "ignores-stop" }, { stopTimeoutSeconds: 2 })]);
      await reaches(harness, id, "RUNNING");
      const stopped = await stopAndWait(harness, id);
      expect(containerOf(stopped, "deaf")).toMatchObject({ state: "STOPPED", exitCode: 137 });
      expect((stopped.executionStoppedAtMs ?? 0) - (stopped.stoppingAtMs ?? 0)).toBeGreaterThanOrEqual(1500);
    }),
  );

  it(
    "says in ECS's words that an image cannot be pulled",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("web", { type: "missing-image" })]);
      const stopped = await reaches(harness, id, "STOPPED");
      expect(stopped.stop?.code).toBe("TaskFailedToStart");
      expect(stopped.stop?.reason).toMatch(/^CannotPullContainerError: /);
      expect(stopped.startedAtMs).toBeUndefined();
      expect(containerOf(stopped, "web")?.reason).toMatch(/^CannotPullContainerError: /);
      expect(containerOf(stopped, "web")?.exitCode).toBeUndefined();
      expect(await harness.leftovers()).toEqual([]);
    }),
  );

  it(
    "says that a container was killed for memory",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("eater", { type: "eats-memory" }, { memoryMiB: 32 })]);
      const stopped = await reaches(harness, id, "STOPPED");
      expect(containerOf(stopped, "eater")).toMatchObject({ exitCode: 137, reason: "OutOfMemoryError: Container killed due to memory usage" });
    }),
  );
}

function ordering(using: Using): void {
  it(
    "starts containers when their conditions are met, and stops them in reverse",
    using(async (harness) => {
      const id = await startAll(harness, [
        harness.container(
          "web",
          { type: "serves" },
          {
            dependsOn: [
              { container: "migrate", condition: "succeeded" },
              { container: "db", condition: "healthy" },
            ],
          },
        ),
        harness.container(
          "migrate",
          { type: "exits", code: 0, afterMs: 200 },
          { essential: false, dependsOn: [{ container: "db", condition: "started" }] },
        ),
        harness.container("db", { type: "becomes-healthy", afterMs: 500 }),
      ]);
      const running = await reaches(harness, id, "RUNNING");
      const [web, migrate, db] = ["web", "migrate", "db"].map((name) => containerOf(running, name));
      expect(migrate?.startedAtMs).toBeGreaterThanOrEqual(db?.startedAtMs ?? Infinity);
      expect(web?.startedAtMs).toBeGreaterThanOrEqual(migrate?.finishedAtMs ?? Infinity);
      // The runtime notes a start some time after the program, whose half second it is, has begun.
      expect(web?.startedAtMs).toBeGreaterThanOrEqual((db?.startedAtMs ?? 0) + 250);
      expect(db?.health).toBe("HEALTHY");
      const stopped = await stopAndWait(harness, id);
      expect(containerOf(stopped, "db")?.finishedAtMs).toBeGreaterThanOrEqual(containerOf(stopped, "web")?.finishedAtMs ?? Infinity);
    }),
  );

  it(
    "fails when a dependency cannot be met",
    using(async (harness) => {
      const id = await startAll(harness, [
        harness.container("web", { type: "serves" }, { dependsOn: [{ container: "migrate", condition: "succeeded" }] }),
        harness.container("migrate", { type: "exits", code: 1 }, { essential: false }),
      ]);
      const stopped = await reaches(harness, id, "STOPPED");
      expect(stopped.stop?.code).toBe("TaskFailedToStart");
      expect(stopped.stop?.reason).toContain("[migrate] for target [web]");
      expect(containerOf(stopped, "web")?.startedAtMs).toBeUndefined();
    }),
  );

  it(
    "tells health, and does not stop for it",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("web", { type: "stays-unhealthy" })]);
      const status = await until(harness, id, (each) => each.health === "UNHEALTHY");
      expect(status).toMatchObject({ state: "RUNNING", desired: "RUNNING" });
      await stopAndWait(harness, id);
    }),
  );

  it(
    "restarts by the container's rule",
    using(async (harness) => {
      const restart = { policy: "on-failure" as const, ignoredExitCodes: [42] };
      const id = await startAll(harness, [
        harness.container("web", { type: "serves" }),
        harness.container("flaky", { type: "exits", code: 1, afterMs: 100 }, { restart, essential: false }),
        harness.container("done", { type: "exits", code: 42, afterMs: 100 }, { restart, essential: false }),
      ]);
      const status = await until(
        harness,
        id,
        (each) => (containerOf(each, "flaky")?.restartCount ?? 0) >= 2 && containerOf(each, "done")?.state === "STOPPED",
      );
      expect(status.desired).toBe("RUNNING");
      expect(containerOf(status, "done")).toMatchObject({ restartCount: 0, exitCode: 42 });
      await stopAndWait(harness, id);
      expect(await harness.leftovers()).toEqual([]);
    }),
  );
}

function survival(using: Using): void {
  it(
    "goes on after the compute layer was killed: nothing is started again",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("web", { type: "serves" })]);
      const before = await reaches(harness, id, "RUNNING");
      await harness.restart();
      const after = await reaches(harness, id, "RUNNING");
      expect(after).toMatchObject({ state: "RUNNING", desired: "RUNNING", network: before.network, containers: before.containers });
      const stopped = await stopAndWait(harness, id);
      expect(containerOf(stopped, "web")).toMatchObject({ exitCode: 0, restartCount: 0, startedAtMs: containerOf(before, "web")?.startedAtMs });
      expect(await harness.leftovers()).toEqual([]);
    }),
  );

  it(
    "sees after a restart what ended meanwhile",
    using(async (harness) => {
      const id = await startAll(harness, [harness.container("job", { type: "exits", code: 5, afterMs: 700 })]);
      await reaches(harness, id, "RUNNING");
      await harness.restart();
      const stopped = await reaches(harness, id, "STOPPED");
      expect(stopped.stop?.code).toBe("EssentialContainerExited");
      expect(containerOf(stopped, "job")?.exitCode).toBe(5);
    }),
  );

  it(
    "comes to the same end when it is killed again and again while it starts and stops",
    using(async (harness) => {
      const ids: string[] = [];
      for (let turn = 0; turn < 3; turn++) {
        ids.push(await startAll(harness, [harness.container("a", { type: "serves" }), harness.container("b", { type: "serves" })]));
        await harness.restart();
      }
      for (const id of ids) {
        const running = await reaches(harness, id, "RUNNING");
        expect(running.containers.map((container) => container.restartCount)).toEqual([0, 0]);
      }
      for (const id of ids) {
        await harness.engine().stop(id, USER);
        await harness.restart();
      }
      for (const id of ids) expect((await reaches(harness, id, "STOPPED")).stop).toEqual(USER);
      expect(await harness.leftovers()).toEqual([]);
    }),
  );
}
