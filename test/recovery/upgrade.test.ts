import { randomInt } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DescribeServicesCommand, DescribeTasksCommand, ListTasksCommand, StopTaskCommand, UpdateServiceCommand } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { constantLoad, more } from "../support/constant-load.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { firstProcesses } from "../support/kernel.ts";
import { checkOutOlder, type OlderTidegate } from "../support/older-tidegate.ts";
import { addressOf, createStack, type Stack } from "../support/stack.ts";
import { startWebService, webServiceStable } from "../support/web-service.ts";

/** An older Tidegate starts what runs; this one takes it over. What is read: pids with their start times, the answers that clients got. */

let older: OlderTidegate;
let instance: TestInstance;
let before: TestInstance;
let stack: Stack;

beforeAll(async () => {
  older = await checkOutOlder();
  // Said, since an older one does not see what newer ones that start at the same moment have chosen.
  const block = `10.${randomInt(100, 200)}.0.0/16`;
  before = instance = await startInstance(["--port", String(randomInt(20_000, 30_000)), "--vpc-cidr", block], { root: older.root });
  stack = await createStack(instance);
});

afterAll(async () => {
  await removeWithoutTrace(instance);
  await older?.[Symbol.asyncDispose]();
});

async function webTasks() {
  const { taskArns = [] } = await stack.ecs.send(new ListTasksCommand({ serviceName: "web" }));
  const { tasks = [] } = await stack.ecs.send(new DescribeTasksCommand({ tasks: taskArns }));
  return tasks
    .map((task) => ({ arn: task.taskArn ?? "", startedAt: task.startedAt, ip: addressOf(task), container: task.containers?.[0]?.runtimeId }))
    .toSorted((a, b) => a.arn.localeCompare(b.arn));
}

/** The instance's daemons by name, each with its pid and start time. */
async function daemons(): Promise<readonly unknown[]> {
  const folder = join("/run/tidegate", instance.instanceId, "daemons");
  const names = (await readdir(folder)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const { pid, startTime } = JSON.parse(await readFile(join(folder, name), "utf8")) as { pid: number; startTime: string };
      return { name, pid, startTime };
    }),
  );
}

test(
  "this Tidegate adopts what an older one started: the same processes, no failed request, and it can be changed",
  { timeout: 240_000 },
  async () => {
    const { url } = await startWebService(stack, { desiredCount: 2 });
    const running = { tasks: await webTasks(), processes: await firstProcesses(instance.instanceId, "httpd -f") };
    const haproxy = (await daemons()).filter((daemon) => JSON.stringify(daemon).includes("haproxy"));
    expect(running.processes).toHaveLength(2);
    expect(haproxy).toHaveLength(1);
    await using load = constantLoad(url);
    await more(load, 200);

    await before.cli(["down"]);
    await more(load, 100);
    instance = await startInstance([], { dataDir: before.dataDir });
    expect(instance.instanceId).toBe(before.instanceId);
    await more(load, 200);
    expect({ tasks: await webTasks(), processes: await firstProcesses(instance.instanceId, "httpd -f") }).toEqual(running);
    expect((await daemons()).filter((daemon) => JSON.stringify(daemon).includes("haproxy"))).toEqual(haproxy);

    await stack.ecs.send(new UpdateServiceCommand({ service: "web", desiredCount: 3 }));
    await webServiceStable(stack);
    load.answers();
    await more(load, 200);
    expect(load.answers().size).toBe(3);
    await stack.ecs.send(new StopTaskCommand({ task: running.tasks[0]?.arn ?? "" }));
    await until("the task has gone and another took its place", async () => {
      const { services } = await stack.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
      const arns = (await webTasks()).map(({ arn }) => arn);
      return services?.[0]?.runningCount === 3 && arns.length === 3 && !arns.includes(running.tasks[0]?.arn ?? "");
    });
    await more(load, 100);
    expect(load.failures).toEqual([]);
    expect(JSON.parse(await readFile(join(instance.dataDir, "instance.json"), "utf8"))).toMatchObject({ format: 2 });
  },
);

test(
  "the older one refuses what the newer one wrote, and what runs goes on; its own database lies beside it, whole",
  { timeout: 120_000 },
  async () => {
    // The one that was stopped has drained by then.
    await until("only the service's tasks run", async () => (await firstProcesses(instance.instanceId, "httpd -f")).length === 3);
    await instance.cli(["down"]);
    // From here on nobody starts a task, nor gives one that a busy host made slow a substitute.
    const processes = await firstProcesses(instance.instanceId, "httpd -f");
    expect(processes.length).toBeGreaterThanOrEqual(3);
    const refused = await before.cli(["up", "--detach"], { okCodes: [1] });
    expect(refused.stderr).toMatch(/has schema version \d+; this Tidegate knows versions up to 1\. A newer Tidegate wrote it/);
    expect(await firstProcesses(instance.instanceId, "httpd -f")).toEqual(processes);

    const copies = await readdir(join(instance.dataDir, "before-upgrade"));
    expect(copies).toEqual([expect.stringMatching(/^tidegate\.db\.v1\.\d{4}-/)]);
    using copy = new DatabaseSync(join(instance.dataDir, "before-upgrade", copies[0] ?? ""), { readOnly: true });
    expect(copy.prepare("SELECT count(*) AS tasks FROM record WHERE collection = 'ecs.task'").get()).toEqual({ tasks: 2 });
  },
);

test(
  "and so does this one refuse what a newer one will have written: in words, with exit code 1, until it is put back",
  { timeout: 120_000 },
  async () => {
    const path = join(instance.dataDir, "tidegate.db");
    const setVersion = (change: string): void => {
      using database = new DatabaseSync(path);
      database.exec(`UPDATE schema_version SET version = version ${change}; INSERT INTO writer VALUES ('9.1.0', 9, 0);`);
    };
    setVersion("+ 7");
    const refused = await instance.cli(["up", "--detach"], { okCodes: [1] });
    expect(refused.stderr).toMatch(
      /^tidegate: tidegate cannot start: the database .* has schema version \d+; .*A newer Tidegate \(9\.1\.0\) wrote it: start that one/m,
    );
    // The words alone, not the log around them.
    expect(refused.stderr).not.toContain('"level"');
    setVersion("- 7");
    await instance.up();
    expect((await instance.cli(["status"])).stdout).toMatch(/^ok /);
  },
);
