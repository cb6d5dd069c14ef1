import type { DeploymentRecord, ServiceRecord, ServiceSubnetRecord } from "../records.ts";
import { isHealthStop, serviceEvent, STANDING_REPEAT_MS, type StandingCause, stopReason } from "../service-events.ts";
import { DEPLOYMENT_TRANSITIONS, ROLLOUT_TRANSITIONS, SERVICE_TRANSITIONS, transition } from "../transitions.ts";
import { choose, spread } from "./placement.ts";
import { backOff, type Bounds, boundsOf, breakerThreshold, QUICK_DEATH_MS } from "./rollout-arithmetic.ts";
import { isHealthy, type PlannedTask, type ServiceObservation, SETTLE_MS, type UnhealthyCause, unhealthyCause } from "./service-observation.ts";

/** Tasks that one step starts at most; the next step goes on. */
const STARTS_A_STEP = 100;

export interface StartIntent {
  readonly deploymentId: string;
  readonly subnet: ServiceSubnetRecord;
}

export interface StopIntent {
  readonly taskId: string;
  readonly reason: string;
}

export interface ServicePlan {
  /** The record as it is to be stored; the same object when nothing changed. Its events are not touched. */
  readonly service: ServiceRecord;
  readonly starts: readonly StartIntent[];
  /** How many of the starts replace unhealthy tasks. */
  readonly replacing: number;
  readonly stops: readonly StopIntent[];
  /** Ended tasks whose end is now in the deployments' counts. */
  readonly settled: readonly string[];
  /** Tasks whose registration is now told. */
  readonly announced: readonly string[];
  /** Texts of new events, oldest first. */
  readonly events: readonly string[];
  readonly requeueAfterMs?: number;
}

/**
 * One step of a service towards what it is asked to be: pure, so that any state can be tried. Called again whenever a task, a target or the
 * service changes; repeated calls on the same state, once its actions are done, do nothing.
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
 */
export function planService(observed: ServiceObservation): ServicePlan {
  const step = new Step(observed);
  step.settle();
  step.announce();
  switch (observed.service.status) {
    case "ACTIVE":
      step.rollOut();
      break;
    case "DRAINING":
      step.drain();
      break;
    case "INACTIVE":
      break;
  }
  return step.plan();
}

class Step {
  #service: ServiceRecord;
  readonly #tasks: readonly PlannedTask[];
  readonly #nowMs: number;
  readonly #presentOf: (atMs: number) => number;
  readonly #starts: StartIntent[] = [];
  readonly #stops = new Map<string, string>();
  readonly #settled: string[] = [];
  readonly #announced: string[] = [];
  readonly #events: string[] = [];
  #replacing = 0;
  /** Deployment that this step has failed; it stays in the record for one step, so that the history learns of its end. */
  #failedNow: string | undefined;
  #requeueAtMs = Number.POSITIVE_INFINITY;

  constructor({ service, tasks, nowMs, presentOf }: ServiceObservation) {
    this.#service = service;
    this.#tasks = tasks;
    this.#nowMs = nowMs;
    this.#presentOf = presentOf ?? ((atMs) => atMs);
  }

  plan(): ServicePlan {
    return {
      service: this.#service,
      starts: this.#starts,
      replacing: this.#replacing,
      stops: [...this.#stops].map(([taskId, reason]) => ({ taskId, reason })),
      settled: this.#settled,
      announced: this.#announced,
      events: this.#events,
      ...(Number.isFinite(this.#requeueAtMs) ? { requeueAfterMs: Math.max(0, this.#requeueAtMs - this.#nowMs) } : {}),
    };
  }

  /** Takes the ends of tasks, and the first that ran, into their deployments' counts. */
  settle(): void {
    const ended = this.#tasks.filter((task) => task.phase === "stopped" && !task.settled);
    for (const task of ended.sort((a, b) => (a.stoppedAtMs ?? 0) - (b.stoppedAtMs ?? 0))) {
      this.#settled.push(task.id);
      this.#change(task.deploymentId, (deployment) => this.#count(deployment, task));
    }
    for (const deployment of this.#service.deployments) {
      const started = this.#tasks.filter((task) => task.deploymentId === deployment.id && task.startedAtMs !== undefined);
      if (started.length === 0) continue;
      const lastStartMs = Math.max(...started.map((task) => task.startedAtMs ?? 0));
      const recovered = deployment.failedTasks > 0 && lastStartMs >= (deployment.lastFailureAtMs ?? 0);
      if (!deployment.reachedRunning || recovered) {
        this.#change(deployment.id, (each) => ({ ...each, reachedRunning: true, ...(recovered ? { failedTasks: 0 } : {}) }));
      }
      const stable = started.some((task) => task.phase === "running" && this.#nowMs - (task.startedAtMs ?? 0) >= QUICK_DEATH_MS);
      const { throttle } = deployment;
      if (throttle !== undefined && stable && lastStartMs >= throttle.notBeforeMs)
        this.#change(deployment.id, ({ throttle: _gone, ...each }) => each);
    }
  }

  #count(deployment: DeploymentRecord, task: PlannedTask): DeploymentRecord {
    const code = task.stop?.code;
    if (code === "ServiceSchedulerInitiated") {
      return isHealthStop(task.stop?.reason ?? "") ? { ...deployment, healthFailures: deployment.healthFailures + 1 } : deployment;
    }
    if (code === "UserInitiated" || code === "SpotInterruption" || code === "TerminationNotice") return deployment;
    const stoppedAtMs = task.stoppedAtMs ?? this.#nowMs;
    const failure = { createdAtMs: task.createdAtMs, nowMs: this.#nowMs };
    if (task.startedAtMs === undefined) {
      const failed = { ...deployment, failedTasks: deployment.failedTasks + 1, lastFailureAtMs: stoppedAtMs };
      return backOff(failed, { ...failure, kind: "start" });
    }
    return stoppedAtMs - task.startedAtMs < QUICK_DEATH_MS ? backOff(deployment, { ...failure, kind: "quick-death" }) : deployment;
  }

  /** Tells of targets that were registered since the last step. */
  announce(): void {
    const fresh = this.#tasks.filter((task) => task.phase === "running" && !task.announced && task.targets.length > 0);
    this.#announced.push(...fresh.map((task) => task.id));
    this.#tellTargets(fresh, serviceEvent.registered);
  }

  #tellTargets(tasks: readonly PlannedTask[], text: (count: number, targetGroupArn: string) => string): void {
    const groups = new Map<string, number>();
    for (const target of tasks.flatMap((task) => task.targets)) groups.set(target.targetGroupArn, (groups.get(target.targetGroupArn) ?? 0) + 1);
    for (const [targetGroupArn, count] of groups) this.#events.push(text(count, targetGroupArn));
  }

  /** Ends all tasks; INACTIVE once the last is gone. */
  drain(): void {
    const left = this.#tasks.filter((task) => task.phase !== "stopped");
    const id = this.#service.deployments[0]?.id ?? "ecs-svc/0";
    this.#stopAll(
      left.filter((task) => task.phase !== "stopping"),
      stopReason.scaling(id),
    );
    if (left.length > 0) return;
    this.#service = {
      ...this.#service,
      status: transition(SERVICE_TRANSITIONS, "DRAINING", "INACTIVE"),
      deployments: [],
      standing: {},
      inactiveAtMs: this.#nowMs,
    };
  }

  rollOut(): void {
    this.#breakCircuit();
    const primary = this.#service.deployments.find((deployment) => deployment.status === "PRIMARY");
    if (primary === undefined) return;
    const wanted = new Wanted(this.#tasks, { primary, service: this.#service, nowMs: this.#nowMs });
    if (primary.rolloutState !== "FAILED") this.#move(primary, wanted);
    this.#finish(primary, wanted);
    this.#wakeForHealth(wanted);
  }

  #breakCircuit(): void {
    const { circuitBreaker, desiredCount, deployments, lastCompleted } = this.#service;
    const primary = deployments.find((deployment) => deployment.status === "PRIMARY");
    if (!circuitBreaker.enable || primary?.rolloutState !== "IN_PROGRESS") return;
    const failures = Math.max(primary.failedTasks, primary.healthFailures);
    if (failures < breakerThreshold(desiredCount)) return;
    const rollback = circuitBreaker.rollback && lastCompleted !== undefined && lastCompleted.id !== primary.id ? lastCompleted : undefined;
    const failed: DeploymentRecord = {
      ...primary,
      rolloutState: transition(ROLLOUT_TRANSITIONS, primary.rolloutState, "FAILED"),
      rolloutStateReason: "ECS deployment circuit breaker: tasks failed to start.",
      updatedAtMs: this.#nowMs,
      ...(rollback === undefined ? {} : { status: transition(DEPLOYMENT_TRANSITIONS, "PRIMARY", "ACTIVE") }),
    };
    this.#failedNow = primary.id;
    this.#events.push(serviceEvent.deploymentFailed(primary.id));
    if (rollback === undefined) return this.#change(primary.id, () => failed);
    this.#events.push(serviceEvent.rollingBack(rollback.id));
    const others = deployments.filter((deployment) => deployment.id !== primary.id && deployment.id !== rollback.id);
    this.#service = { ...this.#service, deployments: [this.#redeploy(rollback), failed, ...others] };
  }

  #redeploy(deployment: DeploymentRecord): DeploymentRecord {
    const { throttle: _gone, ...rest } = deployment;
    return {
      ...rest,
      status: transition(DEPLOYMENT_TRANSITIONS, "ACTIVE", "PRIMARY"),
      rolloutState: transition(ROLLOUT_TRANSITIONS, "COMPLETED", "IN_PROGRESS"),
      rolloutStateReason: `ECS deployment circuit breaker: rolling back to deploymentId ${deployment.id}.`,
      failedTasks: 0,
      healthFailures: 0,
      updatedAtMs: this.#nowMs,
    };
  }

  /** Starts and stops within the bounds. */
  #move(primary: DeploymentRecord, wanted: Wanted): void {
    const room = Math.max(0, wanted.bounds.upper - wanted.live.length);
    const need = this.#service.desiredCount - wanted.good.length;
    const waitMs = primary.throttle === undefined ? 0 : this.#presentOf(primary.throttle.notBeforeMs) - this.#nowMs;
    if (need > 0 && waitMs > 0) this.#requeue(this.#nowMs + waitMs);
    // A task that is failing counts once it has stopped, and may set the back-off: its replacement waits for that.
    const failing = wanted.stopping.filter((task) => task.deploymentId === primary.id && isFailing(task, this.#nowMs)).length;
    const startable = Math.max(0, Math.min(need - failing, room));
    const count = waitMs > 0 ? 0 : Math.min(startable, STARTS_A_STEP);
    const present = wanted.mine.map((task) => ({ subnetId: task.subnetId, availabilityZone: task.availabilityZone }));
    for (const subnet of spread(primary.revision.subnets, present, count)) this.#starts.push({ deploymentId: primary.id, subnet });
    this.#replacing = Math.min(wanted.bad.length, count);
    if (count < startable && waitMs <= 0) this.#requeue(this.#nowMs);
    this.#tellStanding("inconsistent-starts", (primary.throttle?.attempts ?? 0) >= 3 && primary.failedTasks > 0, serviceEvent.inconsistentStarts());
    if (need <= 0) {
      this.#tellStanding("no-capacity", false, "");
      this.#scaleIn(primary, wanted, -need);
    }
    this.#replaceUnhealthy(wanted, { blocked: need > 0 && room === 0 && waitMs <= 0 });
    this.#stopOld(primary, wanted, { blocked: need > 0 && room === 0 });
    const idle = wanted.live.every((task) => isHealthy(task, this.#nowMs)) && wanted.stopping.length === 0;
    this.#tellStanding("stuck", need > 0 && room === 0 && idle && this.#stops.size === 0, serviceEvent.stuck());
  }

  #scaleIn(primary: DeploymentRecord, wanted: Wanted, surplus: number): void {
    const free = wanted.good.filter((task) => !this.#isProtected(task));
    this.#stopAll(
      choose(free, surplus, (task) => isHealthy(task, this.#nowMs)),
      stopReason.scaling(primary.id),
    );
    const kept = surplus - Math.min(surplus, free.length);
    this.#tellStanding("protected", kept > 0, serviceEvent.protectedTasks(primary.id, kept));
  }

  /** An unhealthy task goes once its replacement is healthy; where none fits beside it, one goes first. */
  #replaceUnhealthy(wanted: Wanted, { blocked }: { readonly blocked: boolean }): void {
    const healthy = wanted.good.filter((task) => isHealthy(task, this.#nowMs)).length;
    const spare = Math.min(wanted.bad.length, Math.max(0, healthy + wanted.bad.length - this.#service.desiredCount));
    const count = spare > 0 || !blocked || wanted.stopping.length > 0 ? spare : Math.min(1, wanted.bad.length);
    for (const { task, cause } of wanted.bad.slice(0, count)) {
      this.#events.push(unhealthyText(task, cause));
      this.#stopAll([task], cause.type === "target" ? stopReason.targetUnhealthy(cause.target.targetGroupArn) : stopReason.containerUnhealthy());
    }
  }

  /** Ends tasks of replaced deployments while enough healthy ones remain. */
  #stopOld(primary: DeploymentRecord, wanted: Wanted, { blocked }: { readonly blocked: boolean }): void {
    const free = wanted.old.filter((task) => !this.#isProtected(task));
    let healthy = wanted.live.filter((task) => isHealthy(task, this.#nowMs) && !this.#stops.has(task.id)).length;
    const stops: PlannedTask[] = [];
    for (const task of choose(free, free.length, (each) => isHealthy(each, this.#nowMs))) {
      if (task.phase === "pending") stops.push(task);
      else if (isHealthy(task, this.#nowMs)) {
        if (healthy - 1 < wanted.bounds.lower) continue;
        healthy--;
        stops.push(task);
      } else if (healthy >= wanted.bounds.lower || (blocked && stops.length === 0 && wanted.stopping.length === 0)) stops.push(task);
    }
    this.#stopAll(stops, stopReason.scaling(primary.id));
  }

  /** Marks what is done: the roll-out, replaced deployments that are drained, the steady state. */
  #finish(primary: DeploymentRecord, wanted: Wanted): void {
    const busy = new Set([...wanted.live, ...wanted.stopping].map((task) => task.deploymentId));
    const isGone = ({ id, status }: DeploymentRecord): boolean => status !== "PRIMARY" && !busy.has(id) && id !== this.#failedNow;
    const gone = this.#service.deployments.filter(isGone);
    const kept = this.#service.deployments.filter((deployment) => !gone.includes(deployment));
    if (gone.length > 0) this.#service = { ...this.#service, deployments: kept };
    const full =
      wanted.mine.length === this.#service.desiredCount && wanted.mine.every((task) => isHealthy(task, this.#nowMs)) && this.#starts.length === 0;
    if (!full || kept.length > 1) return this.#tellStanding("steady", false, "");
    if (primary.rolloutState === "IN_PROGRESS") this.#complete(primary);
    const steady = primary.rolloutState !== "FAILED" && wanted.stopping.length === 0 && this.#stops.size === 0;
    this.#tellStanding("steady", steady, serviceEvent.steady());
  }

  #complete(primary: DeploymentRecord): void {
    this.#events.push(serviceEvent.deploymentCompleted(primary.id));
    this.#change(primary.id, (deployment) => ({
      ...deployment,
      rolloutState: transition(ROLLOUT_TRANSITIONS, deployment.rolloutState, "COMPLETED"),
      rolloutStateReason: `ECS deployment ${primary.id} completed.`,
      updatedAtMs: this.#nowMs,
    }));
    const completed = this.#service.deployments.find((deployment) => deployment.id === primary.id);
    if (completed !== undefined) this.#service = { ...this.#service, lastCompleted: completed };
  }

  /** Comes back when time alone makes a task healthy, or ends its grace period or protection. */
  #wakeForHealth(wanted: Wanted): void {
    const graceMs = this.#service.healthCheckGracePeriodSeconds * 1000;
    for (const task of wanted.live) {
      if (task.startedAtMs !== undefined) {
        for (const atMs of [task.startedAtMs + SETTLE_MS, task.startedAtMs + graceMs]) if (atMs > this.#nowMs) this.#requeue(atMs);
      }
      if (this.#isProtected(task)) this.#requeue(task.protectedUntilMs ?? 0);
    }
  }

  #isProtected(task: PlannedTask): boolean {
    return (task.protectedUntilMs ?? 0) > this.#nowMs;
  }

  #stopAll(tasks: readonly PlannedTask[], reason: string): void {
    const fresh = tasks.filter((task) => !this.#stops.has(task.id));
    for (const task of fresh) this.#stops.set(task.id, reason);
    const running = fresh.filter((task) => task.phase === "running");
    const pending = fresh.length - running.length;
    if (pending > 0) this.#events.push(serviceEvent.stoppedPending(pending));
    if (running.length === 0) return;
    const balanced = running.filter((task) => task.targets.length > 0);
    if (balanced.length > 0) {
      this.#tellTargets(balanced, serviceEvent.deregistered);
      this.#events.push(serviceEvent.draining(balanced.length));
    }
    this.#events.push(serviceEvent.stoppedRunning(running.map((task) => task.id)));
  }

  /** Tells a cause that holds, once until it passes or six hours are over. */
  #tellStanding(cause: StandingCause, holds: boolean, text: string): void {
    const toldAtMs = this.#service.standing[cause];
    if (!holds) {
      if (toldAtMs === undefined) return;
      const { [cause]: _gone, ...rest } = this.#service.standing;
      this.#service = { ...this.#service, standing: rest };
      return;
    }
    if (cause === "steady") this.#requeue((toldAtMs ?? this.#nowMs) + STANDING_REPEAT_MS);
    if (toldAtMs !== undefined && this.#nowMs - toldAtMs < STANDING_REPEAT_MS) return;
    this.#service = { ...this.#service, standing: { ...this.#service.standing, [cause]: this.#nowMs } };
    this.#events.push(text);
  }

  #requeue(atMs: number): void {
    this.#requeueAtMs = Math.min(this.#requeueAtMs, atMs);
  }

  #change(deploymentId: string, change: (deployment: DeploymentRecord) => DeploymentRecord): void {
    if (!this.#service.deployments.some((deployment) => deployment.id === deploymentId)) return;
    this.#service = {
      ...this.#service,
      deployments: this.#service.deployments.map((deployment) => (deployment.id === deploymentId ? change(deployment) : deployment)),
    };
  }
}

/** Ended by itself without having run for long. */
function isFailing(task: PlannedTask, nowMs: number): boolean {
  if (task.stop?.code !== "TaskFailedToStart" && task.stop?.code !== "EssentialContainerExited") return false;
  return task.startedAtMs === undefined || nowMs - task.startedAtMs < QUICK_DEATH_MS;
}

function unhealthyText(task: PlannedTask, cause: UnhealthyCause): string {
  if (cause.type === "container") return serviceEvent.unhealthyContainer(task.id);
  const { targetGroupArn, port, reason } = cause.target;
  return serviceEvent.unhealthyTarget({ taskId: task.id, port, targetGroupArn, reason: reason ?? "Health checks failed" });
}

/** The tasks of one moment, sorted by what they are to the roll-out. */
class Wanted {
  readonly bounds: Bounds;
  readonly live: readonly PlannedTask[];
  readonly stopping: readonly PlannedTask[];
  readonly mine: readonly PlannedTask[];
  /** Of replaced deployments. */
  readonly old: readonly PlannedTask[];
  /** Mine that must be replaced. */
  readonly bad: readonly { readonly task: PlannedTask; readonly cause: UnhealthyCause }[];
  /** Mine that need not. */
  readonly good: readonly PlannedTask[];

  constructor(
    tasks: readonly PlannedTask[],
    around: { readonly primary: DeploymentRecord; readonly service: ServiceRecord; readonly nowMs: number },
  ) {
    const graceMs = around.service.healthCheckGracePeriodSeconds * 1000;
    this.bounds = boundsOf(around.service);
    this.live = tasks.filter((task) => task.phase === "pending" || task.phase === "running");
    this.stopping = tasks.filter((task) => task.phase === "stopping");
    this.mine = this.live.filter((task) => task.deploymentId === around.primary.id);
    this.old = this.live.filter((task) => task.deploymentId !== around.primary.id);
    this.bad = this.mine.flatMap((task) => {
      const cause = unhealthyCause(task, { nowMs: around.nowMs, graceMs });
      return cause === undefined ? [] : [{ task, cause }];
    });
    const bad = new Set(this.bad.map((each) => each.task.id));
    this.good = this.mine.filter((task) => !bad.has(task.id));
  }
}
