/** What every kill is held against: a service under constant load, its processes and names, what was acknowledged, and the host's state. */
import { CreateServiceCommand, waitUntilServicesStable } from "@aws-sdk/client-ecs";
import { expect } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { messageOf } from "../../../src/core/problem.ts";
import { run } from "../../../src/host/run.ts";
import { startInstance, until, type TestInstance } from "../../support/instance.ts";
import { firstProcesses, type ContainerProcess } from "../../support/kernel.ts";
import { createStack, type Stack } from "../../support/stack.ts";
import { webLoadBalancer } from "../../support/web-service.ts";
import { untilStateAgrees, type CompareOptions } from "../../support/state/instance-state.ts";
import { full, randomOf, rounds, seed } from "../matrix.ts";
import type { Alteration } from "./altered-source.ts";
import { controlPlaneOf, type ControlPlane } from "./control-plane.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { steadyLoad, type SteadyLoad } from "./steady-load.ts";

/** A service behind a load balancer. */
export interface Served {
  readonly name: string;
  readonly dnsName: string;
  readonly url: string;
}

export interface Bench extends AsyncDisposable {
  readonly instance: TestInstance;
  readonly stack: Stack;
  readonly plane: ControlPlane;
  readonly ledger: Ledger;
  readonly steady: Served;
  /** Puts another service behind a load balancer under load, which must not fail a request either. */
  serve(name: string): Promise<Served>;
  /** What the load's requests failed with so far. */
  failures(): readonly string[];
  /** Drops the failures of requests that were under way in this time. */
  forgive(fromMs: number, toMs: number): void;
  stable(service: string): Promise<void>;
  /** Those that no kill may touch. */
  processes(): Promise<readonly ContainerProcess[]>;
  /** Names resolve on the host and inside a task. Needs no control plane. */
  namesResolve(): Promise<void>;
  /** Waits until the host is as the store says. */
  stateAgrees(): Promise<void>;
  /** Holds what must hold after each kill, once the control plane serves again; `deeply` compares the host with the store too. */
  check(options?: CompareOptions & { readonly deeply?: boolean }): Promise<void>;
}

/** The instance as it is after its start, for those who change it before it gets its service. */
export interface BenchOptions {
  readonly alterations?: readonly Alteration[];
}

export const SERVER_SCRIPT = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www";

export async function createBench(options: BenchOptions = {}): Promise<Bench> {
  const instance = await startInstance();
  try {
    const bench = await openBench(instance, options);
    return bench;
  } catch (error) {
    await instance.remove();
    throw error;
  }
}

async function openBench(instance: TestInstance, options: BenchOptions): Promise<Bench> {
  const stack = await createStack(instance);
  const plane = controlPlaneOf(instance, options.alterations);
  const ledger = createLedger();
  const loads: SteadyLoad[] = [];
  const group = await stack.group("bench", [{ port: 80, fromCidr: "0.0.0.0/0" }]);
  const targets = await stack.group("bench-targets", [{ port: 8080, fromGroup: group }]);
  const stable = async (service: string): Promise<void> => {
    const waiter = { client: stack.ecs, maxWaitTime: 120, minDelay: 1, maxDelay: 2 };
    await waitUntilServicesStable(waiter, { cluster: "default", services: [service] });
  };
  const serve = async (name: string): Promise<Served> => {
    const { dnsName, targetGroupArn } = await webLoadBalancer(stack, group, { name: name });
    const taskDefinition = await stack.define(name, [
      { name: "web", command: ["sh", "-c", `: ${name}-marker; ${SERVER_SCRIPT}`], portMappings: [{ containerPort: 8080 }] },
    ]);
    await stack.ecs.send(
      new CreateServiceCommand({
        serviceName: name,
        taskDefinition,
        desiredCount: 2,
        launchType: "FARGATE",
        networkConfiguration: stack.network(targets),
        loadBalancers: [{ targetGroupArn, containerName: "web", containerPort: 8080 }],
      }),
    );
    await stable(name);
    const url = `http://${dnsName}/`;
    await until(`${name}'s load balancer answers`, async () => (await fetch(url)).status === 200);
    loads.push(steadyLoad(url));
    return { name, dnsName, url };
  };
  const steady = await serve("steady");
  const processes = (): Promise<readonly ContainerProcess[]> => firstProcesses(instance.instanceId, "httpd -f");
  const before = await processes();
  expect(before).toHaveLength(2);
  const steadyPids = new Set(before.map(({ pid }) => pid));
  const inTask = ["nsenter", "--target", String(before[0]?.pid), "--mount", "--net", "--root", "/bin/busybox", "nslookup", "-type=a", steady.dnsName];
  const failures = (): readonly string[] => loads.flatMap((load) => load.failures());
  return {
    instance,
    stack,
    plane,
    ledger,
    steady,
    serve,
    failures,
    forgive: (fromMs, toMs) => loads.forEach((load) => load.forgive(fromMs, toMs)),
    stable,
    processes,
    stateAgrees: () => untilStateAgrees(instance),
    async namesResolve() {
      const [address = ""] = (await run(["getent", "ahostsv4", steady.dnsName])).stdout.split(/\s/);
      expect(address).not.toBe("");
      expect((await run(inTask)).stdout).toContain(address);
    },
    async check({ deeply = false, ...compare } = {}) {
      expect((await processes()).filter(({ pid }) => steadyPids.has(pid))).toEqual(before);
      expect(await ledger.lost()).toEqual([]);
      expect(failures()).toEqual([]);
      if (deeply) await untilStateAgrees(instance, compare);
    },
    async [Symbol.asyncDispose]() {
      for (const load of loads) await load[Symbol.asyncDispose]();
      await plane.kill();
      await instance.remove();
    },
  };
}

/** One phase of the matrix. */
export interface Phase {
  readonly name: string;
  /** A kill falls anywhere in this time after the start of what the phase does. */
  readonly windowMs: number;
  /** What is under way when the kill comes; its calls fail then. */
  begin(round: number): Promise<unknown>;
  /** After each kill, once the control plane serves again: waits until what was begun has come to its end. */
  settle(round: number): Promise<unknown>;
  readonly compare?: CompareOptions;
}

const DEEPLY_EVERY = 5;

/** Kills the control plane in a phase, as often as the matrix says, and holds each time what must hold. @throws with the seed and the round. */
export async function killIn(bench: Bench, phase: Phase, counts: { readonly part: number; readonly whole?: number } = { part: 4 }): Promise<void> {
  const random = randomOf(phase.name);
  const count = rounds({ part: counts.part, whole: counts.whole ?? 50 });
  const startsMs: number[] = [];
  for (let round = 1; round <= count; round++) {
    const afterMs = random.between(0, phase.windowMs);
    try {
      const begun = phase.begin(round).catch((error: unknown) => error);
      await systemClock.sleep(afterMs);
      await bench.plane.kill();
      await bench.namesResolve();
      const startedMs = systemClock.nowMs();
      bench.plane.spawn();
      await bench.plane.serving();
      startsMs.push(systemClock.nowMs() - startedMs);
      await begun;
      await phase.settle(round);
      await bench.check({ ...phase.compare, deeply: full ? round % DEEPLY_EVERY === 0 || round === count : true });
    } catch (error) {
      const where = `${phase.name}, round ${round} of ${count}, killed after ${afterMs} ms; TIDEGATE_RECOVERY_SEED=${seed}`;
      throw new Error(`${where}: ${messageOf(error)}`, { cause: error });
    }
  }
  const slowest = Math.max(...startsMs);
  console.log(`${phase.name}: ${count} kills, ${bench.ledger.size} acknowledged writes held, start ${slowest} ms at most (seed ${seed})`);
}
