/**
 * Requests a second and p99 of DescribeTasks (100 of 1,000 tasks) with wrk, beside moto's server with as many tasks, in the same run, taking
 * turns. The same signed request is sent again and again: a signature is valid for 15 minutes. `node test/bench/api.ts [seconds]`.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateClusterCommand, DescribeTasksCommand, ECSClient, RegisterTaskDefinitionCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { run } from "../../src/host/run.ts";
import { background, startInstance, until } from "../support/instance.ts";
import { figure, median } from "./figures.ts";
import { freePort } from "../support/free-port.ts";

const seconds = Number(process.argv[2] ?? 6);
const ROUNDS = 3;
const TASKS = 1000;

interface Server {
  readonly name: string;
  readonly script: string;
  readonly url: string;
}

const work = await mkdtemp(join(tmpdir(), "tidegate-bench-api-"));
const instance = await startInstance(["--engine", "simulated"]);
const motoPort = await freePort();
await using moto = background(["moto_server", "--host", "127.0.0.1", "--port", String(motoPort)]);
try {
  const keys = { accessKeyId: instance.environment["AWS_ACCESS_KEY_ID"] ?? "", secretAccessKey: instance.environment["AWS_SECRET_ACCESS_KEY"] ?? "" };
  await until("moto answers", async () => (await fetch(`http://127.0.0.1:${motoPort}/moto-api/`)).ok);
  const servers = [await prepare("tidegate", instance.endpoint, keys), await prepare("moto", `http://127.0.0.1:${motoPort}`, keys)];
  const rates = new Map<string, number[]>();
  const p99s = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const result = await load(server);
      rates.set(server.name, [...(rates.get(server.name) ?? []), result.rate]);
      p99s.set(server.name, [...(p99s.get(server.name) ?? []), result.p99Ms]);
    }
  }
  const ours = median(rates.get("tidegate") ?? []);
  const theirs = median(rates.get("moto") ?? []);
  const p99 = median(p99s.get("tidegate") ?? []);
  const motoP99 = median(p99s.get("moto") ?? []);
  await figure(
    "describe-tasks",
    `${ours.toFixed(0)} a second, p99 ${p99.toFixed(1)} ms; moto ${theirs.toFixed(1)} a second, p99 ${motoP99.toFixed(0)} ms: ${(ours / theirs).toFixed(0)} times (aim 30)`,
    { rate: ours, p99Ms: p99, motoRate: theirs, motoP99Ms: motoP99, ratio: ours / theirs },
  );
} catch (error) {
  console.error(moto.output().slice(-2000));
  throw error;
} finally {
  await instance.remove();
  await rm(work, { recursive: true, force: true });
}

/** A cluster with TASKS tasks, and a wrk script that describes 100 of them. */
async function prepare(
  name: string,
  endpoint: string,
  credentials: { readonly accessKeyId: string; readonly secretAccessKey: string },
): Promise<Server> {
  const config = { endpoint, region: "us-east-1", credentials };
  const ecs = new ECSClient(config);
  const ec2 = new EC2Client(config);
  const subnets = await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }));
  const subnet = subnets.Subnets?.[0];
  const inVpc = [
    { Name: "vpc-id", Values: [subnet?.VpcId ?? ""] },
    { Name: "group-name", Values: ["default"] },
  ];
  const groups = await ec2.send(new DescribeSecurityGroupsCommand({ Filters: inVpc }));
  const network = { awsvpcConfiguration: { subnets: [subnet?.SubnetId ?? ""], securityGroups: [groups.SecurityGroups?.[0]?.GroupId ?? ""] } };
  await ecs.send(new CreateClusterCommand({ clusterName: "default" }));
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "bench",
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      containerDefinitions: [{ name: "web", image: "bench:1", cpu: 256, memory: 256 }],
    }),
  );
  const arns: string[] = [];
  while (arns.length < TASKS) {
    const answer = await ecs.send(new RunTaskCommand({ taskDefinition: "bench", count: 10, launchType: "FARGATE", networkConfiguration: network }));
    if (answer.tasks === undefined || answer.tasks.length === 0) throw new Error(`${name} takes no more tasks: ${JSON.stringify(answer.failures)}`);
    arns.push(...answer.tasks.map((task) => task.taskArn ?? ""));
  }
  const request = await captureSigned(ecs, arns.slice(0, 100));
  const script = join(work, `${name}.lua`);
  const headers = Object.entries(request.headers).map(([key, value]) => `  [${JSON.stringify(key)}] = ${JSON.stringify(value)},`);
  await writeFile(script, [`wrk.method = "POST"`, "wrk.headers = {", ...headers, "}", `wrk.body = ${JSON.stringify(request.body)}`].join("\n"));
  return { name, script, url: `${endpoint}/` };
}

/** What the SDK would send, signed, taken just before it is sent. */
async function captureSigned(
  ecs: ECSClient,
  tasks: string[],
): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly body: string }> {
  let captured: { headers: Record<string, string>; body: string } | undefined;
  const command = new DescribeTasksCommand({ cluster: "default", tasks });
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { headers: Record<string, string>; body: string | Uint8Array };
      captured = { headers: request.headers, body: Buffer.from(request.body).toString() };
      return next(args);
    },
    { step: "deserialize", priority: "low", name: "capture" },
  );
  const answer = await ecs.send(command);
  if (captured === undefined || answer.tasks?.length !== 100) throw new Error("the request to repeat could not be captured");
  // wrk writes these two itself.
  const { "content-length": _length, host: _host, ...headers } = captured.headers;
  return { headers, body: captured.body };
}

async function load(server: Server): Promise<{ readonly rate: number; readonly p99Ms: number }> {
  const { stdout } = await run(
    ["wrk", "--threads", "1", "--connections", "8", "--duration", `${seconds}s`, "--latency", "--script", server.script, server.url],
    {
      timeoutMs: (seconds + 30) * 1000,
    },
  );
  if (/Non-2xx/.test(stdout)) throw new Error(`${server.name} answered errors:\n${stdout}`);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  const [, value = "", unit = ""] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  return { rate, p99Ms: Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? Number.NaN) };
}
