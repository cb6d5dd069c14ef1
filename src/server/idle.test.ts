import { afterEach, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { startSimulatedServer, type SimulatedServer } from "./testing.ts";

/** Remembers with what delay each timer was set. */
class RecordingClock extends FakeClock {
  readonly delaysMs: number[] = [];
  override setTimer(delayMs: number, run: () => void): Disposable {
    this.delaysMs.push(delayMs);
    return super.setTimer(delayMs, run);
  }
}

let server: SimulatedServer | undefined;
afterEach(async () => server?.[Symbol.asyncDispose]());

it("a service in its steady state, and a task beside it, wake nobody within ten seconds", async () => {
  const clock = new RecordingClock();
  server = await startSimulatedServer(clock);
  const { ecs } = server;
  const common = await server.prepareWeb();
  await ecs("CreateService", { ...common, serviceName: "web", desiredCount: 3 });
  await ecs("RunTask", common);

  const look = async (): Promise<{ readonly steady: boolean; readonly tasks: readonly string[] }> => {
    const { services } = await ecs<{ services: { events: { message: string }[] }[] }>("DescribeServices", { services: ["web"] });
    const { taskArns } = await ecs<{ taskArns: string[] }>("ListTasks", {});
    const { tasks } = await ecs<{ tasks: { lastStatus: string }[] }>("DescribeTasks", { tasks: taskArns });
    const steady = services[0]!.events[0]?.message.includes("has reached a steady state") ?? false;
    return { steady, tasks: tasks.map(({ lastStatus }) => lastStatus) };
  };
  await expect
    .poll(
      async () => {
        await clock.advance(1_000);
        return look();
      },
      { timeout: 30_000, interval: 5 },
    )
    .toEqual({ steady: true, tasks: ["RUNNING", "RUNNING", "RUNNING", "RUNNING"] });

  // What watches over young tasks may still look; then nothing may.
  await clock.advance(30 * 60_000);
  clock.delaysMs.length = 0;
  for (let step = 0; step < 240; step++) await clock.advance(30_000);
  expect(clock.delaysMs.filter((delayMs) => delayMs < 10_000)).toEqual([]);
  // Two hours of log and session sweeps, of a look at the disk every five minutes, and of nothing else.
  expect(clock.delaysMs.length).toBeLessThan(40);
  expect(await look()).toEqual({ steady: true, tasks: ["RUNNING", "RUNNING", "RUNNING", "RUNNING"] });
});
