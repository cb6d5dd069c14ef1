import type { Engine, StopReason, WorkloadStatus, WorkloadView } from "../../contracts/engine.ts";
import type { Target, TargetHealth, TargetRegistrar } from "../../contracts/load-balancer.ts";
import type { RequestContext } from "../../contracts/service.ts";
import type { Store } from "../../contracts/store.ts";
import type { Workload } from "../../contracts/workload.ts";
import { type ControllerRunner, createControllerRunner } from "../../control/controller-runner.ts";
import { AwsError } from "../../core/aws-error.ts";
import { FakeClock } from "../../core/clock.ts";
import { seededIds } from "../../core/ids.ts";
import { silentLogger } from "../../core/logger.ts";
import { Problem } from "../../core/problem.ts";
import { createEcsService, type EcsService } from "./ecs-service.ts";
import type { EcsPorts } from "./ports.ts";

/** For this room's tests: an engine whose workloads move on command, ports of made-up answers, and an ECS over both. */

export const SCOPE = { account: "111122223333", region: "us-east-1" } as const;
export const IMAGE_DIGEST = `sha256:${"ab".repeat(32)}`;

export class FakeEngine implements Engine {
  readonly views = new Map<string, WorkloadView>();
  readonly #listeners = new Set<(view: WorkloadView) => void>();
  readonly #clock: FakeClock;
  /** Workloads that fit; further ones are refused. */
  room = Number.POSITIVE_INFINITY;
  /** What a workload does by itself: start and stop as told, never start, or nothing. */
  behaviour: "runs" | "fails" | "still" = "runs";
  starts = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  fingerprint = async (): ReturnType<Engine["fingerprint"]> => ({
    name: "fake",
    version: "1",
    machine: { architecture: "amd64", kernel: "6.1" },
    runtimeHandlers: ["runc"],
    capacity: { memoryMiB: 0, cpuUnits: 0 },
  });

  async start(workload: Workload): Promise<void> {
    if (this.views.has(workload.id)) return;
    if (this.live().length >= this.room) throw new Problem("exhausted", "no memory left");
    this.starts++;
    const status: WorkloadStatus = {
      id: workload.id,
      state: "PROVISIONING",
      desired: "RUNNING",
      health: "UNKNOWN",
      containers: workload.containers.map((container) => ({
        name: container.name,
        state: "PENDING",
        health: "UNKNOWN",
        ready: false,
        restartCount: 0,
      })),
      acceptedAtMs: this.#clock.nowMs(),
      version: 1,
      timeline: [],
    };
    this.#set({ workload, status });
    if (this.behaviour === "runs") this.run(workload.id);
    if (this.behaviour === "fails") this.fail(workload.id);
  }

  async stop(id: string, reason: StopReason): Promise<void> {
    const view = this.#get(id);
    if (view.status.desired === "STOPPED") return;
    this.change(id, { desired: "STOPPED", stop: reason, stoppingAtMs: this.#clock.nowMs(), state: "DEACTIVATING" });
    if (this.behaviour !== "still") this.end(id, 143);
  }

  async destroy(id: string): Promise<void> {
    const view = this.views.get(id);
    if (view !== undefined && view.status.state !== "STOPPED") throw new Problem("conflict", `${id} is not STOPPED`);
    this.views.delete(id);
  }

  get = async (id: string): Promise<WorkloadView | undefined> => this.views.get(id);
  list = async (): Promise<readonly WorkloadView[]> => [...this.views.values()];

  watch(listener: (view: WorkloadView) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  live(): readonly WorkloadView[] {
    return [...this.views.values()].filter((view) => view.status.state !== "STOPPED");
  }

  running(): readonly WorkloadView[] {
    return [...this.views.values()].filter((view) => view.status.state === "RUNNING");
  }

  /** Brings it to RUNNING with an address of its own. */
  run(id: string): void {
    const { workload, status } = this.#get(id);
    const nowMs = this.#clock.nowMs();
    this.change(id, {
      state: "RUNNING",
      startedAtMs: nowMs,
      connectivityAtMs: nowMs,
      network: {
        attachmentId: workload.network.attachmentId,
        eniId: `eni-${workload.id.slice(0, 17)}`,
        macAddress: "0e:00:00:00:00:01",
        privateIpv4: `10.0.${Math.floor(this.starts / 200)}.${(this.starts % 200) + 1}`,
        privateDnsName: "ip-10-0-0-1.ec2.internal",
        subnetId: workload.network.subnetId,
        vpcId: workload.network.vpcId,
        subnetCidr: "10.0.0.0/20",
        gatewayIpv4: "10.0.0.1",
      },
      containers: status.containers.map((container) => ({ ...container, state: "RUNNING", runtimeId: `${id}-0123456789`, startedAtMs: nowMs })),
    });
  }

  /** Ends it, with this exit code in each container. */
  end(id: string, exitCode: number): void {
    const { status } = this.#get(id);
    const nowMs = this.#clock.nowMs();
    this.change(id, {
      state: "STOPPED",
      desired: "STOPPED",
      stop: status.stop ?? { code: "EssentialContainerExited", reason: "Essential container in task exited" },
      executionStoppedAtMs: nowMs,
      stoppedAtMs: nowMs,
      containers: status.containers.map((container) => ({ ...container, state: "STOPPED", exitCode })),
    });
  }

  /** It never gets to RUNNING. */
  fail(id: string): void {
    this.change(id, {
      state: "STOPPED",
      desired: "STOPPED",
      stop: { code: "TaskFailedToStart", reason: "CannotPullContainerError: no such image" },
      stoppedAtMs: this.#clock.nowMs(),
    });
  }

  change(id: string, change: Partial<WorkloadStatus>): void {
    const { workload, status } = this.#get(id);
    this.#set({ workload, status: { ...status, ...change, version: status.version + 1 } });
  }

  #get(id: string): WorkloadView {
    const view = this.views.get(id);
    if (view === undefined) throw new Problem("not-found", `no workload ${id}`);
    return view;
  }

  #set(view: WorkloadView): void {
    this.views.set(view.workload.id, view);
    for (const listener of Array.from(this.#listeners)) listener(view);
  }
}

/** Target groups whose health is told by the test; targets are known from their registration on. */
export class FakeTargets implements TargetRegistrar {
  readonly #targets = new Map<string, TargetHealth>();
  readonly #listeners = new Set<(health: TargetHealth) => void>();

  async describeTargetGroup(targetGroupArn: string): ReturnType<TargetRegistrar["describeTargetGroup"]> {
    if (!targetGroupArn.includes("targetgroup/")) throw new Problem("not-found", "no such target group");
    const loadBalancerArns = targetGroupArn.includes("unused") ? [] : ["arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/a/1"];
    return { targetGroupArn, vpcId: "vpc-1", targetType: "ip", protocol: "HTTP", port: 80, loadBalancerArns, deregistrationDelaySeconds: 300 };
  }

  register = async (targetGroupArn: string, target: Target): Promise<void> => this.set(targetGroupArn, target, "initial");
  deregister = async (targetGroupArn: string, target: Target): Promise<void> => this.set(targetGroupArn, target, "draining");
  health = async (targetGroupArn: string, target: Target): Promise<TargetHealth | undefined> => this.#targets.get(nameOf(targetGroupArn, target));

  watch(listener: (health: TargetHealth) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  set(targetGroupArn: string, target: Target, state: TargetHealth["state"]): void {
    const health: TargetHealth = {
      targetGroupArn,
      ...target,
      state,
      ...(state === "unhealthy" ? { reason: "Target.FailedHealthChecks", description: "Health checks failed with these codes: [503]" } : {}),
    };
    this.#targets.set(nameOf(targetGroupArn, target), health);
    this.#tell(health);
  }

  drained(targetGroupArn: string, target: Target): void {
    this.#targets.delete(nameOf(targetGroupArn, target));
    this.#tell({ targetGroupArn, ...target, state: "unused" });
  }

  #tell(health: TargetHealth): void {
    for (const listener of Array.from(this.#listeners)) listener(health);
  }
}

const nameOf = (targetGroupArn: string, target: Target): string => `${targetGroupArn} ${target.ip} ${target.port}`;

const ZONES: Readonly<Record<string, string>> = { "subnet-a": "us-east-1a", "subnet-b": "us-east-1b", "subnet-c": "us-east-1c" };

export interface EcsUnderTest extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly engine: FakeEngine;
  readonly targets: FakeTargets;
  readonly ecs: EcsService;
  readonly store: Store;
  /** Answers an operation; its input is taken as it is. */
  call<Output = Answer>(operation: string, input: object): Promise<Output>;
  /** The error's `code: message`. */
  refusal(operation: string, input: object): Promise<string>;
  /** Lets the controllers work, then moves time on. */
  settle(ms?: number): Promise<void>;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of all shapes
export type Answer = any;

export interface SetUpOptions {
  readonly store: Store;
  readonly engine?: FakeEngine;
  readonly clock?: FakeClock;
  readonly controllers?: boolean;
  readonly ports?: Partial<EcsPorts>;
  readonly seed?: string;
}

/** An ECS over a fake engine; its controllers run unless told otherwise. */
export async function setUpEcs(options: SetUpOptions): Promise<EcsUnderTest> {
  const clock = options.clock ?? new FakeClock();
  const engine = options.engine ?? new FakeEngine(clock);
  const targets = new FakeTargets();
  const toolbox = { clock, ids: seededIds(options.seed ?? "ecs"), logger: silentLogger };
  const ecs = createEcsService({ store: options.store, engine, ports: { ...fakePorts(targets), ...options.ports }, toolbox });
  const runner: ControllerRunner = createControllerRunner({ store: options.store, controllers: ecs.controllers, clock, logger: silentLogger });
  if (options.controllers !== false) await runner.start();
  const call = async <Output>(name: string, input: object): Promise<Output> => {
    const operation = ecs.operations.find((each) => each.name === name);
    if (operation === undefined) throw new Error(`no operation ${name}`);
    return (await operation.handle(input, contextAt(clock))) as Output;
  };
  return {
    clock,
    engine,
    targets,
    ecs,
    store: options.store,
    call,
    async refusal(name, input) {
      try {
        await call(name, input);
      } catch (error) {
        if (error instanceof AwsError) return `${error.code}: ${error.message}`;
        throw error;
      }
      return "no error";
    },
    async settle(ms = 0) {
      for (let turn = 0; turn < 30; turn++) await clock.advance(0);
      if (ms > 0) await clock.advance(ms);
      for (let turn = 0; turn < 30; turn++) await clock.advance(0);
    },
    async [Symbol.asyncDispose]() {
      await runner.stop();
      ecs.close();
    },
  };
}

function fakePorts(targets: TargetRegistrar): EcsPorts {
  return {
    images: { resolve: async (_scope, image) => (image.startsWith("unknown") ? undefined : IMAGE_DIGEST) },
    targets,
    network: {
      subnets: async (_scope, ids) =>
        ids.flatMap((subnetId) => (ZONES[subnetId] === undefined ? [] : [{ subnetId, vpcId: "vpc-1", availabilityZone: ZONES[subnetId] }])),
      securityGroups: async (_scope, ids) =>
        ids.filter((id) => id !== "sg-missing").map((groupId) => ({ groupId, vpcId: groupId === "sg-foreign" ? "vpc-2" : "vpc-1" })),
      defaultSecurityGroup: async () => "sg-default",
    },
    logGroups: { exists: async () => true, create: async () => {} },
    roles: { exists: async (arn) => !arn.endsWith("/missing") },
  };
}

export function contextAt(clock: FakeClock): RequestContext {
  return {
    ...SCOPE,
    requestId: "request",
    principal: { arn: `arn:aws:iam::${SCOPE.account}:user/dev`, userId: "AIDAEXAMPLE", accessKeyId: "AKIAEXAMPLE" },
    nowMs: clock.nowMs(),
    logger: silentLogger,
    host: "localhost:4566",
  };
}

export const NETWORK = {
  awsvpcConfiguration: { subnets: ["subnet-a", "subnet-b", "subnet-c"], securityGroups: ["sg-1"], assignPublicIp: "ENABLED" },
} as const;

/** A smallest definition that Fargate runs. */
export function definition(family = "web", container: object = {}, task: object = {}): object {
  return {
    family,
    requiresCompatibilities: ["FARGATE"],
    networkMode: "awsvpc",
    cpu: "256",
    memory: "512",
    containerDefinitions: [{ name: "app", image: "node:26", portMappings: [{ containerPort: 8080 }], ...container }],
    ...task,
  };
}
