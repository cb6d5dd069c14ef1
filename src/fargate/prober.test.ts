import { expect, it } from "vitest";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { Probe } from "../contracts/workload.ts";
import { FakeClock } from "../core/clock.ts";
import { Prober, type ProbedContainer } from "./prober.ts";

const ID = "0123456789abcdef0123456789abcdef";
const TEN_MINUTES_MS = 600_000;

function probe(command: string, more: Partial<Probe> = {}): Probe {
  const action = { type: "exec" as const, command: [command] };
  return { action, initialDelaySeconds: 0, periodSeconds: 10, timeoutSeconds: 1, failureThreshold: 3, successThreshold: 1, ...more };
}

/** Probes one container, which has run for so long, by commands of which `fails` fail; `ran`: the command of each, and after how many ms. */
function world(container: Partial<ProbedContainer>, ageMs: number) {
  const clock = new FakeClock();
  const beganMs = clock.nowMs();
  const [ran, fails]: [{ readonly command: string; readonly atMs: number }[], Set<string>] = [[], new Set()];
  const execSync: ContainerRuntime["execSync"] = async (_id, { command: [command = ""] }) => {
    ran.push({ command, atMs: clock.nowMs() - beganMs });
    return { exitCode: fails.has(command) ? 1 : 0, stdout: "", stderr: "" };
  };
  const prober = new Prober({ runtime: { execSync } as ContainerRuntime, clock, changed: () => {} });
  const known = { name: "app", containerId: ID, probes: {}, address: "10.0.0.1", startedAtMs: beganMs - ageMs };
  prober.sync("w", [{ ...known, last: { health: "UNKNOWN", started: false, ready: false }, ...container }]);
  return { clock, ran, fails, verdict: () => prober.verdict("w", ID) };
}

const WELL = { health: "UNKNOWN", started: true, ready: true } as const;

it("leaves ready what was, until its probe has failed as often as it must", async () => {
  const { clock, ran, fails, verdict } = world({ probes: { readiness: probe("ready") }, last: WELL }, TEN_MINUTES_MS);
  fails.add("ready");
  expect(verdict()).toMatchObject({ ready: true });
  await clock.advance(20_000);
  expect(ran).toHaveLength(2);
  expect(verdict()).toMatchObject({ ready: true });
  await clock.advance(10_000);
  expect(verdict()).toMatchObject({ ready: false });
});

it("does not ask again whether it has started what has, and does not hold back its other probes", async () => {
  const { clock, ran, fails, verdict } = world({ probes: { startup: probe("start"), liveness: probe("live") }, last: WELL }, TEN_MINUTES_MS);
  fails.add("start");
  await clock.advance(60_000);
  expect(new Set(ran.map(({ command }) => command))).toEqual(new Set(["live"]));
  expect(verdict()).toEqual({ health: "UNKNOWN", started: true, ready: true });
});

it("asks what is new at once, and what has run for long somewhere in its period, as all do not come in one moment", async () => {
  const fresh = world({ probes: { readiness: probe("ready") } }, 50);
  await fresh.clock.advance(0);
  expect(fresh.ran).toEqual([{ command: "ready", atMs: 0 }]);
  expect(fresh.verdict()).toMatchObject({ ready: true });
  const places = ["00000000", "80000000", "ffffffff"].map(async (start) => {
    const { clock, ran } = world({ containerId: start + ID.slice(8), probes: { readiness: probe("ready") } }, TEN_MINUTES_MS);
    for (let ms = 0; ms < 10_000; ms += 100) await clock.advance(100);
    return ran[0]?.atMs;
  });
  expect(await Promise.all(places)).toEqual([0, 5000, 9999]);
});
