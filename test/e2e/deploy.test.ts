import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TaskDefinition } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { background, startInstance, until, type TestInstance } from "../support/instance.ts";
import { constantLoad, more } from "../support/constant-load.ts";
import { TRUST_TASKS } from "../support/stack.ts";

/** `deploy --json`. */
interface Deployed {
  readonly name: string;
  readonly url?: string;
  readonly taskDefinition: string;
}

interface DescribedTask {
  readonly taskArn: string;
  readonly lastStatus: string;
  readonly stoppedReason?: string;
  readonly containers: readonly { readonly exitCode?: number }[];
}

let instance: TestInstance;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-deploy-"));
  await cp(join(import.meta.dirname, "../../examples"), folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
  instance = await startInstance();
  await instance.cli(["images", "seed", "node"]);
});

afterAll(async () => {
  try {
    await instance?.remove();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

const flagsOf = (app: string, flags: readonly string[]): readonly string[] => ["deploy", join(folder, app), "--builder", "buildah", ...flags];

async function deploy(app: string, ...flags: readonly string[]): Promise<Deployed> {
  const { stdout } = await instance.cli([...flagsOf(app, flags), "--json"]);
  return JSON.parse(stdout) as Deployed;
}

/** Answers what a deploy that fails says, its progress before it. */
async function failing(code: number, app: string, ...flags: readonly string[]): Promise<string> {
  const { stderr } = await instance.cli(flagsOf(app, flags), { okCodes: [code] });
  return stderr;
}

async function writeApp(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(join(folder, name), { recursive: true });
  for (const [path, text] of Object.entries(files)) await writeFile(join(folder, name, path), text);
  return name;
}

async function ask(url: string): Promise<{ readonly app: string; readonly message: string; readonly ip: string }> {
  const response = await fetch(url, { headers: { connection: "close" } });
  expect(response.status).toBe(200);
  return (await response.json()) as Awaited<ReturnType<typeof ask>>;
}

async function serviceStatus(name: string): Promise<string | undefined> {
  const { services } = await instance.aws<{ services: { status: string }[] }>("ecs", "describe-services", "--services", name);
  return services[0]?.status;
}

async function tasksOf(service: string, desiredStatus = "RUNNING"): Promise<readonly DescribedTask[]> {
  const listed = await instance.aws<{ taskArns: string[] }>("ecs", "list-tasks", "--service-name", service, "--desired-status", desiredStatus);
  if (listed.taskArns.length === 0) return [];
  return (await instance.aws<{ tasks: DescribedTask[] }>("ecs", "describe-tasks", "--tasks", ...listed.taskArns)).tasks;
}

async function defaultSubnets(): Promise<readonly string[]> {
  const { Subnets } = await instance.aws<{ Subnets: { SubnetId: string }[] }>(
    "ec2",
    "describe-subnets",
    "--filters",
    "Name=default-for-az,Values=true",
  );
  return Subnets.map((subnet) => subnet.SubnetId);
}

describe("an API behind a load balancer", () => {
  test("answers on its URL, keeps its settings, and a deploy that fails leaves it serving", { timeout: 240_000 }, async () => {
    const first = await deploy("fastify-api", "--count", "1", "--env", "MESSAGE=kept for the next time");
    const url = first.url ?? "";
    const { hostname } = new URL(url);
    expect(hostname).toMatch(/^fastify-api-[0-9a-f]+\.us-east-1\.elb\.tidegate\.internal$/);
    const hosts = await readFile("/etc/hosts", "utf8");
    expect(hosts.split("\n").filter((line) => line.endsWith(` ${hostname}`))).toHaveLength(3);

    expect((await ask(url)).app).toBe("fastify-api");

    const kept = JSON.parse(await readFile(join(folder, "fastify-api/tidegate.json"), "utf8")) as object;
    expect(kept).toMatchObject({ name: "fastify-api", port: 3000, healthPath: "/health", environment: { MESSAGE: "kept for the next time" } });

    const server = join(folder, "fastify-api/server.js");
    const good = await readFile(server, "utf8");
    await writeFile(server, 'console.log("cannot reach the database at db:5432"); process.exit(3);\n');
    const words = await failing(1, "fastify-api");
    expect(words).toMatch(/Task [0-9a-f]{32} stopped \(EssentialContainerExited\): Essential container in task exited/);
    expect(words).toContain("exit code 3");
    expect(words).toContain("    cannot reach the database at db:5432");
    expect(words).toContain("(fastify-api:1) serves on");
    expect((await ask(url)).message).toBe("kept for the next time");

    await writeFile(server, good.replace("hello from Tidegate", "mended"));
    const third = await deploy("fastify-api");
    expect(third).toMatchObject({ url });
    expect((await ask(url)).message).toBe("kept for the next time");
  });

  test("that never becomes healthy says which task failed its checks, and is removed again", { timeout: 180_000 }, async () => {
    const words = await failing(1, "express-api", "--name", "sick", "--health-path", "/nothing-here", "--count", "1");
    expect(words).toMatch(/Task [0-9a-f]{32} stopped \(ServiceSchedulerInitiated\): Task failed ELB health checks/);
    expect(words).toContain('{"msg":"listening","port":8080}');
    expect(words).toContain("The new service sick was removed again.");
    await until("the service is gone", async () => (await serviceStatus("sick")) !== "ACTIVE");
    expect(JSON.parse(await readFile(join(folder, "express-api/tidegate.json"), "utf8"))).toMatchObject({
      name: "express-api",
      healthPath: "/health",
    });
  });
});

describe("on EKS", () => {
  test("a cluster is made, the API answers behind an ALB, rolls out under load, and what fails says why", { timeout: 8 * 60_000 }, async () => {
    await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
    await cp(join(folder, "express-api"), join(folder, "on-eks"), { recursive: true });
    const flags = ["--name", "on-eks", "--on", "eks", "--count", "2"];
    const first = await deploy("on-eks", ...flags, "--env", "MESSAGE=first");
    const url = first.url ?? "";
    expect(await ask(url)).toMatchObject({ app: "express-api", message: "first" });
    {
      await using load = constantLoad(url);
      await more(load, 50);
      // What was said before is kept; one new word rolls the Deployment over.
      expect(await deploy("on-eks", "--env", "MESSAGE=second")).toMatchObject({ name: "on-eks", url });
      await more(load, 50);
      expect(load.failures).toEqual([]);
    }
    expect((await ask(url)).message).toBe("second");

    await writeApp("ends-on-eks", { Dockerfile: `FROM node:26-slim\nCMD ["node", "-e", "console.log('no DATABASE_URL'); process.exit(3)"]\n` });
    const words = await failing(1, "ends-on-eks", "--on", "eks", "--count", "1");
    expect(words).toMatch(/The container ends-on-eks of the pod ends-on-eks-\S+ starts, but ends again: \d+ restarts so far, exit code 3/);
    expect(words).toContain("    no DATABASE_URL");
    expect(words).toContain("The new Deployment ends-on-eks was removed again.");
    expect((await ask(url)).message).toBe("second");
  });
});

describe("a worker", () => {
  test("logs, and ends with 0 on SIGTERM after the job in hand", { timeout: 120_000 }, async () => {
    const worker = await deploy("worker", "--env", "PAUSE_MS=100");
    expect(worker.url).toBeUndefined();
    await until("it has done a job", async () => (await instance.cli(["logs", "worker"])).stdout.includes('"msg":"done"'));
    const [task] = await tasksOf("worker");
    const id = task?.taskArn.split("/").at(-1) ?? "";
    await instance.aws("ecs", "stop-task", "--task", id, "--reason", "tried by a test");
    const stopped = await until("it has stopped", async () =>
      (await tasksOf("worker", "STOPPED")).find((candidate) => candidate.lastStatus === "STOPPED"),
    );
    expect(stopped).toMatchObject({ taskArn: task?.taskArn, stoppedReason: "tried by a test", containers: [{ exitCode: 0 }] });
    const messages = (await instance.cli(["logs", id, "--json"])).stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse((JSON.parse(line) as { message: string }).message) as { msg: string }).msg);
    expect(messages[0]).toBe("worker up");
    expect(messages.at(-1)).toBe("worker down");
    expect(messages.filter((message) => message === "started").length).toBe(messages.filter((message) => message === "done").length);
  });

  test("that ends again and again is found out though ECS counts it as started, and is removed", { timeout: 120_000 }, async () => {
    const command = `["node", "-e", "console.log('no DATABASE_URL: giving up'); process.exitCode = 3"]`;
    await writeApp("gives-up", { Dockerfile: `FROM node:26-slim\nCMD ${command}\n` });
    const words = await failing(1, "gives-up", "--count", "1");
    expect(words).toMatch(/Task [0-9a-f]{32} stopped \(EssentialContainerExited\)/);
    expect(words).toContain("exit code 3");
    expect(words).toContain("    no DATABASE_URL: giving up");
    expect(words).toContain("The new service gives-up was removed again.");
    expect(await serviceStatus("gives-up")).not.toBe("ACTIVE");
  });

  test("interrupted while it rolls, goes on, and the command says so", { timeout: 120_000 }, async () => {
    await writeApp("slow-start", { Dockerfile: 'FROM node:26-slim\nCMD ["node", "-e", "setInterval(() => {}, 1000)"]\n' });
    const deploying = background([
      join(import.meta.dirname, "../../tidegate"),
      "--data-dir",
      instance.dataDir,
      ...flagsOf("slow-start", ["--count", "1"]),
    ]);
    await until("the service rolls", async () => deploying.output().includes("- Service slow-start\n    "), 120_000);
    await deploying[Symbol.asyncDispose]();
    expect(deploying.output()).toContain("Interrupted. The service slow-start goes on rolling to slow-start:1 without this command");
    await until("its task runs", async () => (await tasksOf("slow-start")).some((task) => task.lastStatus === "RUNNING"));
  });
});

describe("a task that calls Tidegate's own APIs", () => {
  const program = `import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
const { Arn, Account } = await new STSClient({}).send(new GetCallerIdentityCommand({}));
console.log(JSON.stringify({ Arn, Account }));
`;

  test("needs nothing but the SDK: region, endpoint and its role's credentials are there", { timeout: 180_000 }, async () => {
    const { version } = createRequire(import.meta.url)("@aws-sdk/client-sts/package.json") as { readonly version: string };
    await writeApp("who-am-i", {
      Dockerfile: `FROM node:26-slim\nWORKDIR /app\nRUN npm install @aws-sdk/client-sts@${version}\nCOPY main.mjs .\nUSER node\nCMD ["node", "main.mjs"]\n`,
      "main.mjs": program,
    });
    // Of the deploy only the image is wanted, and what it says of logs; a role is the task definition's own matter.
    const deployed = await deploy("who-am-i", "--count", "0");
    const { taskDefinition } = await instance.aws<{ taskDefinition: TaskDefinition }>(
      "ecs",
      "describe-task-definition",
      "--task-definition",
      deployed.taskDefinition,
    );
    const { Role } = await instance.aws<{ Role: { Arn: string } }>(
      "iam",
      "create-role",
      "--role-name",
      "who-am-i",
      "--assume-role-policy-document",
      TRUST_TASKS,
    );
    const { family, containerDefinitions = [], cpu, memory, networkMode, executionRoleArn, requiresCompatibilities } = taskDefinition;
    const [container] = containerDefinitions;
    expect(container?.environment ?? []).toEqual([]);
    const registered = await instance.aws<{ taskDefinition: { taskDefinitionArn: string } }>(
      "ecs",
      "register-task-definition",
      "--cli-input-json",
      JSON.stringify({
        family,
        containerDefinitions,
        cpu,
        memory,
        networkMode,
        executionRoleArn,
        requiresCompatibilities,
        taskRoleArn: Role.Arn,
      }),
    );
    const subnets = await defaultSubnets();
    const { tasks } = await instance.aws<{ tasks: DescribedTask[] }>(
      "ecs",
      "run-task",
      "--launch-type",
      "FARGATE",
      "--task-definition",
      registered.taskDefinition.taskDefinitionArn,
      "--network-configuration",
      JSON.stringify({ awsvpcConfiguration: { subnets, assignPublicIp: "ENABLED" } }),
    );
    const id = tasks[0]?.taskArn.split("/").at(-1) ?? "";
    const stopped = await until("the task has ended", async () => {
      const described = await instance.aws<{ tasks: DescribedTask[] }>("ecs", "describe-tasks", "--tasks", id);
      return described.tasks.find((task) => task.lastStatus === "STOPPED");
    });
    const { stdout } = await instance.cli(["logs", id]);
    expect(stopped.containers, stdout).toMatchObject([{ exitCode: 0 }]);
    expect(stdout).toMatch(/"Arn":"arn:aws:sts::\d{12}:assumed-role\/who-am-i\/[0-9a-f]{32}"/);
  });
});

describe("what cannot be deployed", () => {
  test("an image that does not build: the builder's words, and nothing is made", async () => {
    await writeApp("no-build", { Dockerfile: "FROM node:26-slim\nRUN echo compiling && echo missing header >&2 && exit 7\n" });
    const words = await failing(1, "no-build");
    expect(words).toContain("missing header");
    expect(words).toContain("buildah build failed (exit code 7). Nothing that runs was changed.");
    expect(await serviceStatus("no-build")).toBeUndefined();
  });

  test("a base image that is nowhere: its name and what to do", async () => {
    await writeApp("no-base", { Dockerfile: "FROM quay.example/team/base:3\nRUN true\n" });
    const words = await failing(1, "no-base");
    expect(words).toContain("The base image quay.example/team/base:3 is not kept here, and its own registry did not give it.");
    await writeApp("no-base", { Dockerfile: "FROM node:18-slim\nRUN true\n" });
    const node = await failing(1, "no-base");
    expect(node).toContain("The base image docker.io/library/node:18-slim is not kept here");
    expect(node).toContain("tidegate images seed node");
  });

  test.each([
    [["deploy", "/nowhere"], "/nowhere is no folder"],
    [["deploy", "FOLDER"], "Dockerfile; --dockerfile says another"],
    [["deploy", "FOLDER/worker", "--cpu", "lots"], 'cpu must be a whole number from 256 to 32768, not "lots"'],
    [["deploy", "FOLDER/worker", "--cpu", "256", "--memory", "4096"], "with cpu 256 the memory can be 512, 1024 or 2048 MiB (--memory)"],
    [["deploy", "FOLDER/worker", "--env", "NOVALUE"], '--env takes NAME=value, not "NOVALUE"'],
    [["deploy", "FOLDER/worker", "--builder", "kaniko"], '--builder takes buildkit, docker or buildah, not "kaniko"'],
    [["deploy", "FOLDER/worker", "--on", "nomad"], '--on takes ecs or eks, not "nomad"'],
    [["deploy", "FOLDER/worker", "--secret", "A=arn"], "--secret is not built yet"],
    [["deploy", "FOLDER/worker", "--frobnicate"], "unknown option '--frobnicate'"],
    [["frobnicate"], "unknown command 'frobnicate'"],
  ])("wrong words (%j) are exit code 2", async (args, words) => {
    const { stderr } = await instance.cli(
      args.map((arg) => arg.replace("FOLDER", folder)),
      { okCodes: [2] },
    );
    expect(stderr).toContain(words);
    expect(stderr).not.toContain("Image repository");
  });

  test("anything while the control plane is down: exit code 3 and the command that starts it", async () => {
    await instance.kill();
    for (const args of [["deploy", join(folder, "worker")], ["ps"], ["logs", "worker"], ["images"]]) {
      const { stderr } = await instance.cli(args, { okCodes: [3] });
      expect(stderr).toContain("`tidegate up --detach` starts the control plane again");
    }
    await instance.up();
    expect((await tasksOf("worker")).length).toBe(1);
  });
});
