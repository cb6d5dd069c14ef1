/**
 * RunTask to the container's first accepted connection, image present, beside `ctr run -d` of the same image on the same containerd and, on an
 * engine of Docker's, `docker run -d`; taking turns. Then 50 tasks at once, from the first call to the last connection.
 * `node test/bench/run-task.ts [rounds]`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { DescribeSubnetsCommand, DescribeSecurityGroupsCommand, AuthorizeSecurityGroupIngressCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  StopTaskCommand,
  CreateClusterCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { systemClock } from "../../src/core/clock.ts";
import { run } from "../../src/host/run.ts";
import { startInstance, until } from "../support/instance.ts";
import { writeTinyImage } from "../support/tiny-image.ts";
import { type PrivateDocker, startDockerd } from "../support/dockerd.ts";
import { firstConnection } from "./first-connection.ts";
import { figure, median, ms, percentile } from "./figures.ts";
import { rawStorm } from "./raw-cri.ts";

const rounds = Number(process.argv[2] ?? 15);
const STORM = 50;
/** How often is looked: one looker must not take the cores from what it looks at, fifty even less. */
const LOOK_MS = 2;
const STORM_LOOK_MS = 250;
const PORT = 8080;
const COMMAND = ["httpd", "-f", "-p", String(PORT), "-h", "/www"];

const work = await mkdtemp(join(tmpdir(), "tidegate-bench-"));
const instance = await startInstance();
try {
  const clientConfig = {
    endpoint: instance.endpoint,
    region: instance.environment["AWS_REGION"] ?? "",
    credentials: {
      accessKeyId: instance.environment["AWS_ACCESS_KEY_ID"] ?? "",
      secretAccessKey: instance.environment["AWS_SECRET_ACCESS_KEY"] ?? "",
    },
  };
  const ecs = new ECSClient(clientConfig);
  const image = await pushTinyImage(new ECRClient(clientConfig));
  const network = await openNetwork(new EC2Client(clientConfig));
  await ecs.send(new CreateClusterCommand({}));
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "bench",
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      containerDefinitions: [{ name: "web", image, command: COMMAND, stopTimeout: 2 }],
    }),
  );
  const ctr = await prepareCtr(image);
  await using dockerd = await startDockerd({ bridged: true });
  using docker = await prepareDocker(dockerd);
  const task: number[] = [];
  const raw: number[] = [];
  const engine: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const taskMs = await oneTask(ecs, network);
    const rawMs = await ctr.once(round);
    const dockerMs = await docker.once(round);
    if (round < 0) continue;
    task.push(taskMs);
    raw.push(rawMs);
    engine.push(dockerMs);
  }
  const ratio = median(task) / median(raw);
  await figure(
    "run-task",
    `median ${ms(median(task))}, p95 ${ms(percentile(task, 0.95))}; ctr run -d ${ms(median(raw))}: ${ratio.toFixed(2)} times (aim at most 2.5)`,
    {
      medianMs: median(task),
      p95Ms: percentile(task, 0.95),
      ctrMedianMs: median(raw),
      ratio,
    },
  );
  if (engine.length > 0) {
    const share = median(task) / median(engine);
    await figure("run-task/docker", `docker run -d ${ms(median(engine))}: ${share.toFixed(2)} times (aim under 0.5)`, {
      dockerMedianMs: median(engine),
      ratio: share,
    });
  }
  const stormMs = await storm(ecs, network);
  const rawMs = await rawStorm(STORM, COMMAND);
  await figure(
    "storm",
    `${STORM} tasks at once: ${ms(stormMs)} to the last connection, ${((STORM * 1000) / stormMs).toFixed(1)} a second; the bare CRI calls ${ms(rawMs)}: ${(stormMs / rawMs).toFixed(2)} times`,
    { tasks: STORM, totalMs: stormMs, rawMs, ratio: stormMs / rawMs },
  );
} finally {
  await instance.remove();
  await rm(work, { recursive: true, force: true });
}

async function pushTinyImage(ecr: ECRClient): Promise<string> {
  const path = join(work, "tiny.tar");
  await writeTinyImage(path);
  await ecr.send(new CreateRepositoryCommand({ repositoryName: "tiny" }));
  const answer = await ecr.send(new GetAuthorizationTokenCommand({}));
  const login = Buffer.from(answer.authorizationData?.[0]?.authorizationToken ?? "", "base64").toString();
  const image = `localhost:${instance.port}/tiny:1`;
  await run(["skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", login, `oci-archive:${path}`, `docker://${image}`]);
  return image;
}

interface TaskNetwork {
  readonly subnets: string[];
  readonly securityGroups: string[];
}

async function openNetwork(ec2: EC2Client): Promise<TaskNetwork> {
  const subnets = await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }));
  const groups = await ec2.send(new DescribeSecurityGroupsCommand({ Filters: [{ Name: "group-name", Values: ["default"] }] }));
  const group = groups.SecurityGroups?.[0]?.GroupId ?? "";
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: group, IpProtocol: "tcp", FromPort: PORT, ToPort: PORT, CidrIp: "0.0.0.0/0" }));
  return { subnets: [subnets.Subnets?.[0]?.SubnetId ?? ""], securityGroups: [group] };
}

function runTask(network: TaskNetwork, count: number): RunTaskCommand {
  return new RunTaskCommand({
    taskDefinition: "bench",
    count,
    launchType: "FARGATE",
    networkConfiguration: { awsvpcConfiguration: { ...network, assignPublicIp: "ENABLED" } },
  });
}

/** From the call to the first connection; the address is learnt as a client would, by DescribeTasks. */
async function oneTask(ecs: ECSClient, network: TaskNetwork): Promise<number> {
  const startedMs = performance.now();
  const answer = await ecs.send(runTask(network, 1));
  const arn = answer.tasks?.[0]?.taskArn ?? "";
  await firstConnection(await addressOf(ecs, arn), PORT);
  const tookMs = performance.now() - startedMs;
  await stop(ecs, [arn]);
  return tookMs;
}

async function addressOf(ecs: ECSClient, arn: string): Promise<string> {
  for (;;) {
    const described = await ecs.send(new DescribeTasksCommand({ tasks: [arn] }));
    const address = addressIn(described.tasks?.[0]);
    if (address !== undefined) return address;
    await systemClock.sleep(LOOK_MS);
  }
}

function addressIn(task: Task | undefined): string | undefined {
  if (task?.lastStatus === "STOPPED") throw new Error(`the task stopped: ${task.stoppedReason}`);
  return task?.attachments?.[0]?.details?.find((detail) => detail.name === "privateIPv4Address")?.value;
}

/** Waits for a connection to each. One call asks for all of them, as of a client that waits for many: fifty that ask would be a load of their own. */
async function connectToAll(ecs: ECSClient, arns: readonly string[]): Promise<void> {
  const connections = new Map<string, Promise<void>>();
  for (;;) {
    const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ tasks: [...arns] }));
    for (const task of tasks) {
      const address = addressIn(task);
      if (address === undefined || connections.has(address)) continue;
      connections.set(address, firstConnection(address, PORT, STORM_LOOK_MS));
    }
    if (connections.size === arns.length) break;
    await systemClock.sleep(STORM_LOOK_MS);
  }
  await Promise.all(connections.values());
}

async function stop(ecs: ECSClient, arns: readonly string[]): Promise<void> {
  for (const task of arns) await ecs.send(new StopTaskCommand({ task }));
  await until("the tasks have stopped", async () => (await ecs.send(new ListTasksCommand({ desiredStatus: "RUNNING" }))).taskArns?.length === 0);
  for (const arn of arns) {
    await until(`${arn} is STOPPED`, async () => (await ecs.send(new DescribeTasksCommand({ tasks: [arn] }))).tasks?.[0]?.lastStatus === "STOPPED");
  }
}

async function storm(ecs: ECSClient, network: TaskNetwork): Promise<number> {
  const startedMs = performance.now();
  const answers = await Promise.all(Array.from({ length: STORM / 10 }, () => ecs.send(runTask(network, 10))));
  const arns = answers.flatMap((answer) => (answer.tasks ?? []).map((task) => task.taskArn ?? ""));
  if (arns.length !== STORM)
    throw new Error(`${arns.length} of ${STORM} tasks were taken: ${JSON.stringify(answers.flatMap((answer) => answer.failures))}`);
  await connectToAll(ecs, arns);
  const tookMs = performance.now() - startedMs;
  await stop(ecs, arns);
  return tookMs;
}

interface Peer {
  once(round: number): Promise<number>;
}

/** `ctr run -d` on a containerd namespace of its own, on the same daemon, with the host's network. */
async function prepareCtr(image: string): Promise<Peer> {
  const socket = join("/run/tidegate", instance.instanceId, "containerd.sock");
  const ctr = ["ctr", "--address", socket, "--namespace", "bench"];
  const path = join(work, "tiny.tar");
  await run([...ctr, "images", "import", "--base-name", "tidegate.test/tiny", path]);
  const name = (await run([...ctr, "images", "list", "-q"])).stdout.trim().split("\n")[0] ?? image;
  return {
    async once(round) {
      const port = 20_000 + round + 1;
      const id = `bench-${round + 1}`;
      const startedMs = performance.now();
      await run([...ctr, "run", "--detach", "--net-host", name, id, "httpd", "-f", "-p", String(port), "-h", "/www"]);
      await firstConnection("127.0.0.1", port);
      const tookMs = performance.now() - startedMs;
      await run([...ctr, "tasks", "kill", "--signal", "SIGKILL", id]);
      await until("ctr's task has ended", async () => (await run([...ctr, "tasks", "delete", id], { okCodes: [0, 1] })).code === 0);
      await run([...ctr, "containers", "delete", id]);
      return tookMs;
    },
  };
}

/** `docker run -d` on an engine of the bench's own, on its default bridge: that too gives each container an interface of its own. */
async function prepareDocker({ host, netnsPath = "" }: PrivateDocker): Promise<Peer & Disposable> {
  const environment = { DOCKER_HOST: host };
  const name = "tidegate.test/tiny:bench";
  await run(["skopeo", "copy", `oci-archive:${join(work, "tiny.tar")}`, `docker-archive:${join(work, "docker.tar")}:${name}`]);
  await run(["docker", "load", "--input", join(work, "docker.tar")], { environment });
  const looker = spawn("nsenter", [`--net=${netnsPath}`, process.execPath, join(import.meta.dirname, "looker.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  return {
    async once() {
      const startedMs = performance.now();
      const { stdout } = await run(["docker", "run", "--detach", name, ...COMMAND], { environment });
      const id = stdout.trim();
      const { stdout: address } = await run(["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", id], { environment });
      const connected = once(looker.stdout, "data");
      looker.stdin.write(`${address.trim()} ${PORT}\n`);
      await connected;
      const tookMs = performance.now() - startedMs;
      await run(["docker", "rm", "--force", id], { environment });
      return tookMs;
    },
    [Symbol.dispose]: () => void looker.kill(),
  };
}
