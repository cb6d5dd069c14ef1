import { afterEach, expect, it } from "vitest";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FakeClock } from "../core/clock.ts";
import { ownToken } from "../core/own-token.ts";
import type { TaskTimeline } from "../core/status-report.ts";
import { startSimulatedServer, type SimulatedServer } from "./testing.ts";

let server: SimulatedServer | undefined;
afterEach(async () => server?.[Symbol.asyncDispose]());

it("tell who has the root key how it is and how far a task came, and nobody else", async () => {
  const clock = new FakeClock();
  server = await startSimulatedServer(clock);
  const { ecs, url, dataDir } = server;
  const { secretAccessKey } = JSON.parse(await readFile(join(dataDir, "credentials.json"), "utf8")) as { secretAccessKey: string };
  const ask = (path: string, token = ownToken(secretAccessKey)): Promise<Response> =>
    fetch(`${url}/_tidegate/${path}`, { headers: { authorization: `Bearer ${token}` } });
  for (const token of ["", secretAccessKey, ownToken("another")]) expect((await ask("status", token)).status).toBe(401);
  expect((await fetch(`${url}/_tidegate/status`)).status).toBe(401);

  const common = await server.prepareWeb();
  await ecs("CreateService", { ...common, serviceName: "web", desiredCount: 1 });
  await ecs("RunTask", common);
  const { tasks } = await (async () => {
    for (;;) {
      await clock.advance(1_000);
      const { taskArns } = await ecs<{ taskArns: string[] }>("ListTasks", {});
      const found = await ecs<{ tasks: { lastStatus: string; taskArn: string }[] }>("DescribeTasks", { tasks: taskArns });
      if (found.tasks.length === 2 && found.tasks.every(({ lastStatus }) => lastStatus === "RUNNING")) return found;
    }
  })();
  expect(await (await ask("status")).json()).toMatchObject({ status: "ok", serving: true, problems: [] });

  const id = tasks[0]?.taskArn.split("/").at(-1) ?? "";
  const { timeline } = (await (await ask(`tasks/${id}`)).json()) as TaskTimeline;
  const phases = timeline.map(({ phase }) => phase);
  expect(phases).toEqual(expect.arrayContaining(["PROVISIONING", "attached", "pulled app", "created app", "started app", "RUNNING"]));
  expect(timeline.map(({ atMs }) => atMs)).toEqual(timeline.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
  expect((await ask("tasks/0123")).status).toBe(404);
});
