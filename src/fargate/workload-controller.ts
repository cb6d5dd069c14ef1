import type { Controller, ReconcileResult, Watch } from "../contracts/controller.ts";
import type { StopReason, WorkloadState, WorkloadStatus, WorkloadView } from "../contracts/engine.ts";
import type { Stored, Write } from "../contracts/store.ts";
import type { Ids } from "../core/ids.ts";
import type { PresentTimes } from "../core/present-times.ts";
import { Problem } from "../core/problem.ts";
import type { AddressBook } from "./address-book.ts";
import type { Admission } from "./admission.ts";
import type { ComputeContext } from "./compute-context.ts";
import { deprovision } from "./deprovision.ts";
import { hasReached } from "./lifecycle.ts";
import { messageKey, nextStatus } from "./next-status.ts";
import { observeContainer, triesKey, type ContainerFacts } from "./observe.ts";
import { planWorkload, type WorkloadPlan } from "./plan-workload.ts";
import { provision } from "./provision.ts";
import { pullFor } from "./pull-images.ts";
import type { Prober } from "./prober.ts";
import { sandboxLost } from "./reasons.ts";
import { PLACEMENTS, STATUSES, USAGE, WORKLOADS, runtimeIdsOf, type PlacementRecord, type UsageRecord, type WorkloadRecord } from "./records.ts";
import { requestStop } from "./request-stop.ts";
import { followIfWanted, runContainer } from "./run-container.ts";
import { hasHook, runHooks, type HookStep } from "./run-hooks.ts";
import { Session, type Unit } from "./session.ts";
import { stopContainer } from "./stop-container.ts";
import { readMessage } from "./termination-message.ts";
import { viewOf } from "./view.ts";

export interface WorkloadControllerOptions {
  readonly context: ComputeContext;
  readonly prober: Prober;
  readonly admission: Admission;
  readonly ids: Ids;
  readonly addresses: AddressBook;
  /** Resolves when the runtime has been listed and swept: nothing is decided before. */
  readonly ready: Promise<void>;
  /** The workload has stopped and owns nothing any more. */
  readonly stopped: (id: string, placement: PlacementRecord | undefined) => void;
}

/** Where a workload stands after a look at it. */
interface Standing {
  readonly state: WorkloadState;
  readonly containers: readonly ContainerFacts[];
  /** It must end, for this reason. */
  readonly stop?: StopReason;
  readonly wakeAtMs?: number;
}

const CONCURRENCY = 32;
/** Of the kubelet: what is stopped last has so long even where those before it took all the time. */
const LEAST_GRACE_SECONDS = 2;

/**
 * Moves workloads through their life. A reconcile reads the record, the status, the placement and what the runtime shows, decides,
 * launches effects and returns; each effect's end wakes the workload again. The only writer of statuses.
 */
export class WorkloadController implements Controller {
  readonly name = "fargate-workload";
  readonly concurrency = CONCURRENCY;
  readonly watches: readonly Watch<WorkloadRecord>[] = [{ collection: WORKLOADS, keysOf: (change) => [change.key] }];
  readonly #options: WorkloadControllerOptions;
  readonly #context: ComputeContext;
  readonly #sessions = new Map<string, Session>();
  #wake: (id: string) => void = () => {};

  constructor(options: WorkloadControllerOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  sources(wake: (key: string) => void): Disposable {
    this.#wake = wake;
    return {
      [Symbol.dispose]: () => {
        this.#wake = () => {};
      },
    };
  }

  async initialKeys(): Promise<readonly string[]> {
    const statuses = await this.#context.store.list(STATUSES);
    return statuses.filter((status) => status.value.state !== "STOPPED").map((status) => status.key);
  }

  /** Something outside the store happened to the workload. */
  wake(id: string): void {
    this.#wake(id);
  }

  /** As `wake`, and what waits for its next try is tried at once. */
  nudge(id: string): void {
    this.#sessions.get(id)?.effects.nudge();
    this.#wake(id);
  }

  /** Notes in the workload's timeline what happened to it. */
  note(id: string, words: string): void {
    this.#sessions.get(id)?.mark(words);
    this.#wake(id);
  }

  /** Ids of the images that workloads have pulled and have not stopped since. */
  heldImages(): ReadonlySet<string> {
    const held = new Set<string>();
    for (const session of this.#sessions.values()) for (const image of session.images.values()) held.add(image.reference);
    return held;
  }

  async reconcile(id: string): Promise<ReconcileResult | void> {
    await this.#options.ready;
    const { store, clock } = this.#context;
    const beganMs = clock.steadyMs();
    const [record, status, placement] = await Promise.all([store.get(WORKLOADS, id), store.get(STATUSES, id), store.get(PLACEMENTS, id)]);
    if (record === undefined || status === undefined || status.value.state === "STOPPED") return this.#forget(id, placement?.value);
    if (placement === undefined) throw new Problem("not-found", `workload ${id} has no placement record, though it has not stopped`);
    const session = this.#session(status.value);
    let unit: Unit = { record: record.value, status: status.value, placement: placement.value, session };
    let standing = this.#drive(unit);
    if (standing.stop !== undefined) {
      unit = { ...unit, record: await requestStop(this.#context, id, standing.stop) };
      standing = this.#drive(unit);
    }
    await this.#write(unit, standing, status);
    const planInMs = (standing.wakeAtMs ?? Infinity) - clock.nowMs();
    const tryInMs = (session.effects.nextTryAtMs(beganMs) ?? Infinity) - clock.steadyMs();
    const wakeInMs = Math.min(planInMs, tryInMs);
    return Number.isFinite(wakeInMs) ? { requeueAfterMs: Math.max(1, wakeInMs) } : undefined;
  }

  #drive(unit: Unit): Standing {
    const containers = this.#observe(unit);
    const standing = unit.record.stop === undefined ? this.#driveStart(unit, containers) : this.#driveStop(unit, containers);
    this.#probe(unit, containers);
    return { ...standing, containers };
  }

  #driveStart(unit: Unit, containers: readonly ContainerFacts[]): Omit<Standing, "containers"> {
    const { session, status } = unit;
    const lost = this.#lostSandbox(unit, containers);
    if (lost !== undefined || session.failure !== undefined) return { state: status.state, stop: session.failure ?? lost };
    this.#followAgain(unit);
    if (!session.provisioned) {
      session.effects.launch("provision", () => provision(this.#context, unit));
      this.#pull(unit, containers);
      return { state: "PROVISIONING" };
    }
    if (session.network !== undefined) this.#options.addresses.set(session.id, session.network);
    if (!this.#hooksDone(unit, "prestart")) return { state: "PROVISIONING" };
    if (this.#pull(unit, containers)) return { state: "PENDING" };
    const plan = this.#plan(unit, containers);
    if (plan.stop !== undefined) return { state: status.state, stop: plan.stop };
    this.#execute(unit, plan, containers);
    const { wakeAtMs } = plan;
    if (!plan.allStarted || !this.#hooksDone(unit, "poststart")) return { state: "ACTIVATING", wakeAtMs };
    return { state: "RUNNING", wakeAtMs };
  }

  #driveStop(unit: Unit, containers: readonly ContainerFacts[]): Omit<Standing, "containers"> {
    const { session, status } = unit;
    const { effects } = session;
    if (effects.busy("hook:poststart")) return { state: status.state };
    // A task whose essential container is gone serves nobody: there is nothing to drain.
    const serves = unit.record.workload.containers.every(
      (spec) => !spec.essential || containers.some((each) => each.name === spec.name && each.state === "running"),
    );
    if (serves && hasReached(status.state, "ACTIVATING") && !this.#hooksDone(unit, "prestop")) return { state: "DEACTIVATING" };
    const plan = this.#plan(unit, containers);
    if (!plan.ended) this.#followAgain(unit);
    this.#execute(unit, plan, containers);
    this.#hasten(unit, containers);
    const underWay = ["run:", "stop:", "hasten:", "follow:", "provision", "hook:pre"].some((prefix) => effects.anyBusy(prefix));
    if (!plan.ended || underWay) return { state: containers.some((container) => container.everStarted) ? "STOPPING" : status.state };
    if (session.deprovisioned) return { state: "STOPPED" };
    effects.launch("deprovision", () => deprovision(this.#context, unit, this.#view(unit)));
    return { state: "DEPROVISIONING" };
  }

  /** The sandbox is gone though the workload had it: a reboot, or somebody's hand. */
  #lostSandbox(unit: Unit, containers: readonly ContainerFacts[]): StopReason | undefined {
    const { session, status, placement } = unit;
    const had = status.connectivityAtMs !== undefined || session.connectivityAtMs !== undefined;
    if (!had || session.effects.busy("provision") || this.#context.cache.sandboxNamed(placement.sandboxName)?.ready === true) return undefined;
    return sandboxLost(containers.some((container) => container.everStarted));
  }

  /** Launches the pulls that are still to be made; answers whether any is awaited. */
  #pull(unit: Unit, containers: readonly ContainerFacts[]): boolean {
    const { session, record } = unit;
    if (hasReached(unit.status.state, "ACTIVATING")) return false;
    let awaited = false;
    for (const spec of record.workload.containers) {
      const observed = containers.find((container) => container.name === spec.name);
      if (session.images.has(spec.name) || observed?.state !== "absent" || observed.busy) continue;
      awaited = true;
      session.effects.launch(`pull:${spec.name}`, async () => void (await pullFor(this.#context, unit, spec, 0)));
    }
    return awaited;
  }

  #plan({ record }: Unit, containers: readonly ContainerFacts[]): WorkloadPlan {
    const { times, clock } = this.#context;
    const present = (atMs: number | undefined): number | undefined => (atMs === undefined ? undefined : times.past(atMs));
    const observed = {
      acceptedAtMs: times.past(record.acceptedAtMs),
      stopRequested: record.stop !== undefined,
      containers: containers.map((each) => ({ ...each, startedAtMs: present(each.startedAtMs), finishedAtMs: present(each.finishedAtMs) })),
    };
    return planWorkload(record.workload, observed, clock.nowMs());
  }

  #execute(unit: Unit, plan: WorkloadPlan, containers: readonly ContainerFacts[]): void {
    const { session, record } = unit;
    for (const step of plan.steps) {
      const spec = record.workload.containers.find((container) => container.name === step.container);
      if (spec === undefined) continue;
      if (step.type === "run") {
        session.streaks.set(spec.name, step.streak);
        if (step.tries > 0 || session.streaks.has(triesKey(spec.name))) session.streaks.set(triesKey(spec.name), step.tries);
        session.effects.launch(`run:${spec.name}`, () => runContainer(this.#context, unit, spec, step.attempt));
        continue;
      }
      const containerId = containers.find((container) => container.name === spec.name)?.containerId;
      if (containerId === undefined) continue;
      const key = `${spec.name}/${step.attempt}`;
      if (!session.stopSentAtMs.has(key)) session.stopSentAtMs.set(key, unit.placement.stopSentAtMs[key] ?? this.#context.clock.nowMs());
      const graceSeconds = this.#graceOf(unit, key, step.graceSeconds);
      session.stopsWithin.set(spec.name, graceSeconds);
      const options = { spec, containerId, attempt: step.attempt, graceSeconds };
      session.effects.launch(`stop:${spec.name}`, () => stopContainer(this.#context, unit, options));
    }
  }

  /** From its stop signal on, within what is left of the time that all containers have together. */
  #graceOf({ session, record }: Unit, key: string, ownSeconds: number): number {
    const { stop } = record;
    if (stop?.endsAtMs === undefined) return ownSeconds;
    const wholeSeconds = (stop.endsAtMs - stop.atMs) / 1000;
    const leftSeconds = (stop.endsAtMs - (session.stopSentAtMs.get(key) ?? stop.atMs)) / 1000;
    return Math.min(ownSeconds, Math.max(Math.min(LEAST_GRACE_SECONDS, wholeSeconds), leftSeconds));
  }

  /** Somebody has shortened the time of containers that are being stopped. */
  #hasten(unit: Unit, containers: readonly ContainerFacts[]): void {
    const { session, record } = unit;
    for (const { name, attempt, containerId, state } of containers) {
      const spec = record.workload.containers.find((each) => each.name === name);
      const within = session.stopsWithin.get(name);
      if (spec === undefined || containerId === undefined || within === undefined || state !== "running") continue;
      const graceSeconds = this.#graceOf(unit, `${name}/${attempt}`, within);
      if (graceSeconds > within - 1 || !session.effects.busy(`stop:${name}`)) continue;
      session.stopsWithin.set(name, graceSeconds);
      // The hook runs on beside it.
      const options = { spec: { ...spec, hooks: {} }, containerId, attempt, graceSeconds };
      session.effects.launch(`hasten:${name}`, () => stopContainer(this.#context, unit, options));
    }
  }

  /** Launches a step of the hooks where it is still to be done; answers whether it is done. */
  #hooksDone(unit: Unit, step: HookStep): boolean {
    const { session } = unit;
    if (session.hooksDone[step]) return true;
    const view = this.#view(unit);
    const unknown = (step === "prestart" || step === "poststart") && view.workload.hooks.some((name) => !this.#context.hooks.has(name));
    if (!unknown && !hasHook(this.#context, view, step)) {
      session.hooksDone[step] = true;
      return true;
    }
    session.effects.launch(`hook:${step}`, () => runHooks(this.#context, session, step, view));
    return false;
  }

  /** After a restart of Tidegate the collector is told again of what may still write, until it has taken each on. */
  #followAgain(unit: Unit): void {
    const { session, record, placement } = unit;
    const sandbox = this.#context.cache.sandboxNamed(placement.sandboxName);
    const containers = sandbox === undefined ? [] : this.#context.cache.containersOf(sandbox.id);
    const unfollowed = (session.unfollowed ??= new Set(containers.map(({ id }) => id)));
    for (const { id, name, attempt } of containers.filter((each) => unfollowed.has(each.id))) {
      const spec = record.workload.containers.find((each) => each.name === name);
      if (spec === undefined) continue;
      session.effects.launch(`follow:${id}`, async () => {
        await followIfWanted(this.#context, unit, { spec, attempt });
        unfollowed.delete(id);
      });
    }
  }

  #observe({ record, status, placement, session }: Unit): readonly ContainerFacts[] {
    const { cache } = this.#context;
    const sandbox = cache.sandboxNamed(placement.sandboxName);
    const sources = {
      status,
      placement: { ...placement, streaks: { ...placement.streaks, ...Object.fromEntries(session.streaks) } },
      containers: sandbox === undefined ? [] : cache.containersOf(sandbox.id),
      startFailures: session.startFailures,
      hookFailures: session.hookFailures,
      busy: (name: string) => session.effects.busy(`run:${name}`) || session.effects.busy(`stop:${name}`),
      verdict: (containerId: string) => this.#options.prober.verdict(status.id, containerId),
    };
    return record.workload.containers.map((spec) => observeContainer(spec, sources));
  }

  #probe({ record, session }: Unit, containers: readonly ContainerFacts[]): void {
    const address = session.network?.privateIpv4;
    const running = record.stop !== undefined || address === undefined ? [] : containers.filter((container) => container.state === "running");
    const probed = running.flatMap((container) => {
      const spec = record.workload.containers.find((each) => each.name === container.name);
      if (spec === undefined || container.containerId === undefined || address === undefined) return [];
      const { name, containerId, startedAtMs = this.#context.clock.nowMs(), health, ready, started } = container;
      return [{ name, containerId, probes: spec.probes, startedAtMs, address, last: { health, ready, started } }];
    });
    this.#options.prober.sync(session.id, probed);
  }

  async #write(unit: Unit, standing: Standing, stored: Stored<WorkloadStatus>): Promise<void> {
    const { session, record } = unit;
    const { store, clock, logger } = this.#context;
    const marks = session.marks();
    const placement = updatedPlacement(unit, this.#options.ids);
    const { network, connectivityAtMs, pullStartedAtMs, pullStoppedAtMs } = session;
    const next = nextStatus(stored.value, {
      record,
      placement,
      state: standing.state,
      // Shown once it works.
      network: session.provisioned ? network : undefined,
      connectivityAtMs,
      pullStartedAtMs,
      pullStoppedAtMs: session.effects.anyBusy("pull:") ? undefined : pullStoppedAtMs,
      containers: standing.containers,
      imageDigests: new Map([...session.images].map(([name, image]) => [name, image.digest])),
      messages: await this.#messages(unit, standing.containers),
      marks,
      nowMs: clock.nowMs(),
    });
    const writes: Write[] = [];
    if (next !== undefined) writes.push({ op: "update", collection: STATUSES, key: session.id, value: next, ifRevision: stored.revision });
    if (next?.state === "STOPPED")
      writes.push({ op: "delete", collection: PLACEMENTS, key: session.id }, ...usageOf(record, next, this.#context.times));
    else if (placement !== unit.placement) writes.push({ op: "put", collection: PLACEMENTS, key: session.id, value: placement });
    if (writes.length > 0) await store.transact(writes);
    if (next === undefined) return;
    session.marksWritten(marks.length);
    if (next.state !== stored.value.state)
      logger.info(`workload ${next.state}`, { taskId: session.id, ...(next.stop !== undefined && { reason: next.stop.reason }) });
    if (next.state === "STOPPED") this.#forget(session.id, unit.placement);
  }

  /** The last words of attempts that ended and are there still; by `messageKey`. */
  async #messages({ record, status, placement }: Unit, containers: readonly ContainerFacts[]): Promise<ReadonlyMap<string, string>> {
    const { folders } = this.#context;
    const { id, containers: specs } = record.workload;
    const newest = containers.filter(({ state, unmade }) => state === "exited" && unmade !== true);
    // Those of the attempt before are read once.
    const earlier = containers.flatMap(({ name, lastEnd }) => {
      const known = status.containers.find((each) => each.name === name)?.lastEnd?.attempt;
      return lastEnd === undefined || lastEnd.attempt === known ? [] : [{ name, ...lastEnd }];
    });
    const read = [...newest, ...earlier].map(async ({ name, attempt, exitCode }) => {
      const spec = specs.find((each) => each.name === name);
      if (spec?.terminationMessagePath === undefined) return [];
      const fromLog = spec.terminationMessageFromLog === true && exitCode !== 0 && spec.log.type !== "none";
      const logPath = fromLog ? folders.logPath(placement.sandboxName, name, attempt) : undefined;
      const words = await readMessage({ path: folders.messagePath(id, name, attempt), logPath, containers: specs.length });
      return words === "" ? [] : [[messageKey(name, attempt), words] as const];
    });
    return new Map((await Promise.all(read)).flat());
  }

  #view({ record, status, session }: Unit): WorkloadView {
    return viewOf(record, { ...status, network: status.network ?? session.network });
  }

  #session(status: WorkloadStatus): Session {
    const known = this.#sessions.get(status.id);
    if (known !== undefined) return known;
    const { clock, logger, signal } = this.#context;
    const session = new Session(status, { clock, logger, signal, wake: () => this.#wake(status.id) });
    this.#sessions.set(status.id, session);
    return session;
  }

  #forget(id: string, placement: PlacementRecord | undefined): void {
    this.#sessions.delete(id);
    this.#options.prober.sync(id, []);
    this.#options.addresses.delete(id);
    this.#options.admission.release(id);
    this.#options.stopped(id, placement);
  }
}

/** The placement with what this process has to remember beyond its own life; the same object when there is nothing new. */
function updatedPlacement({ placement, session, record }: Unit, ids: Ids): PlacementRecord {
  const streaks = [...session.streaks].filter(([name, streak]) => (placement.streaks[name] ?? 0) !== streak);
  const sent = [...session.stopSentAtMs].filter(([key]) => placement.stopSentAtMs[key] === undefined);
  const added = record.workload.containers.filter(({ name }) => placement.runtimeIds[name] === undefined);
  if (streaks.length === 0 && sent.length === 0 && added.length === 0) return placement;
  return {
    ...placement,
    runtimeIds: { ...placement.runtimeIds, ...runtimeIdsOf(record.workload.id, added, ids) },
    streaks: { ...placement.streaks, ...Object.fromEntries(streaks) },
    stopSentAtMs: { ...placement.stopSentAtMs, ...Object.fromEntries(sent) },
  };
}

/** Nothing is billed that did not pull, and nothing of a system workload: its owner bills what it is part of. @see fargate-semantics §6. */
function usageOf({ workload }: WorkloadRecord, status: WorkloadStatus, times: PresentTimes): readonly Write<UsageRecord>[] {
  const { pullStartedAtMs: fromMs, stoppedAtMs: toMs } = status;
  if (fromMs === undefined || toMs === undefined || workload.system) return [];
  const { account, region, labels, cpuUnits, memoryMiB, ephemeralStorageGiB, spot } = workload;
  const size = { account, region, labels, cpuUnits, memoryMiB, ephemeralStorageGiB, spot };
  const value: UsageRecord = { workloadId: workload.id, ...size, fromMs, toMs, seconds: Math.max(0, Math.ceil((toMs - times.past(fromMs)) / 1000)) };
  return [{ op: "put", collection: USAGE, key: workload.id, value }];
}
