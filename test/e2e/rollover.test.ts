import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DescribeTasksCommand, ECSClient, ListTasksCommand } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { startLoad } from "../support/load-run.ts";
import { clientOptions } from "../support/stack.ts";

/** `deploy --json`. */
interface Deployed {
  readonly url: string;
  readonly taskDefinition: string;
}

const REQUESTS_PER_SECOND = 200;
const SLOW_SECONDS = 20;

let instance: TestInstance;
let ecs: ECSClient;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-rollover-"));
  await cp(join(import.meta.dirname, "../../examples"), folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
  instance = await startInstance();
  ecs = new ECSClient(clientOptions(instance));
  await instance.cli(["images", "seed", "node"]);
});

afterAll(async () => {
  try {
    await instance?.remove();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function deploy(example: string, ...flags: readonly string[]): Promise<Deployed> {
  const { stdout } = await instance.cli(["deploy", join(folder, example), "--builder", "buildah", "--json", ...flags]);
  return JSON.parse(stdout) as Deployed;
}

/** Addresses of the service's running tasks, each with its task definition. By the SDK: new tasks are healthy within seconds, and a client's start takes some. */
async function addresses(serviceName: string): Promise<ReadonlyMap<string, string>> {
  const { taskArns } = await ecs.send(new ListTasksCommand({ serviceName }));
  const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ tasks: taskArns }));
  return new Map(
    tasks.map(({ attachments, taskDefinitionArn = "" }) => [
      attachments?.[0]?.details?.find(({ name }) => name === "privateIPv4Address")?.value ?? "",
      taskDefinitionArn,
    ]),
  );
}

describe.each([
  ["fastify-api", "Fastify"],
  ["express-api", "Express, with its keep-alive of 5 s"],
])("a rollover of %s under load (%s)", (example) => {
  test("fails no request, on kept or new connections, and lets one that is in flight end", { timeout: 240_000 }, async () => {
    const first = await deploy(example, "--env", "MESSAGE=before");
    const before = await addresses(example);
    await using load = startLoad(first.url, REQUESTS_PER_SECOND);
    let rolling = true;
    const rollOver = deploy(example, "--env", "MESSAGE=after").finally(() => (rolling = false));
    // The new tasks are there, not yet healthy, so the old ones take the long request; its end lies behind the switch.
    await until("the new tasks have started", async () => !rolling || (await addresses(example)).size > before.size, 120_000);
    load.slow(SLOW_SECONDS);
    const second = await rollOver;
    expect(second.url).toBe(first.url);
    expect(second.taskDefinition).not.toBe(first.taskDefinition);
    const after = await addresses(example);
    const report = await load.stop();

    expect(report.failures).toEqual([]);
    expect(report.sent / report.seconds).toBeGreaterThan(REQUESTS_PER_SECOND * 0.5);
    expect(Object.keys(report.messages).sort()).toEqual(["after", "before"]);
    expect(report.slow).toMatchObject([{ status: 200, slept: SLOW_SECONDS }]);
    expect([...before.keys()]).toContain(report.slow[0]?.ip);
    expect(after.size).toBe(2);
    expect(new Set(after.values())).toEqual(new Set([second.taskDefinition]));
    expect(Object.keys(report.tasks).sort()).toEqual([...before.keys(), ...after.keys()].sort());
  });
});
