/**
 * A cluster: CreateCluster to ACTIVE, the first one and the next, and the resident memory of one that idles. A pod, from its creation to Running, beside
 * a task of the same image and size from RunTask to RUNNING, taking turns; then 50 of each at once; a roll-out under constant load.
 * `node test/bench/eks.ts [rounds]`.
 */
import { Agent, request } from "node:https";
import { performance } from "node:perf_hooks";
import { DescribeTasksCommand, ListTasksCommand, RunTaskCommand, StopTaskCommand } from "@aws-sdk/client-ecs";
import {
  CreateClusterCommand,
  CreateFargateProfileCommand,
  DeleteClusterCommand,
  DescribeClusterCommand,
  DescribeFargateProfileCommand,
  EKSClient,
  ListClustersCommand,
} from "@aws-sdk/client-eks";
import { systemClock } from "../../src/core/clock.ts";
import { startInstance, until } from "../support/instance.ts";
import { programsOf } from "../kubernetes/support/programs.ts";
import { createStack, type Stack } from "../support/stack.ts";
import { figure, median, ms, percentile } from "./figures.ts";
import { type Ask, ROLLED, rollOut } from "./roll-out.ts";

const rounds = Number(process.argv[2] ?? 10);
const STORM = 50;
const LOOK_MS = 5;
const STORM_LOOK_MS = 250;
const SETTLE_MS = 30_000;
const COMMAND = ["httpd", "-f", "-p", "8080", "-h", "/www"];
const CLUSTER = "bench";
const PODS = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";

interface PodList {
  readonly items: readonly { readonly status: { readonly phase?: string } }[];
}

const instance = await startInstance();
try {
  await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
  const stack = await createStack(instance);
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "", AWS_REGION: region = "" } = instance.environment;
  const eks = new EKSClient({ endpoint: instance.endpoint, region, credentials: { accessKeyId, secretAccessKey } });
  const firstMs = await createCluster(eks, stack);
  await eks.send(new DeleteClusterCommand({ name: CLUSTER }));
  await until("the cluster is gone", async () => (await eks.send(new ListClustersCommand({}))).clusters?.length === 0, 120_000);
  const warmMs = await createCluster(eks, stack);
  await figure("create-cluster", `to ACTIVE: the first ${ms(firstMs)}, the next ${ms(warmMs)} (aim under 8000 ms)`, { firstMs, warmMs });

  const ask = await connect(eks);
  await until("there is a service account for pods", () => ask("GET", "/api/v1/namespaces/default/serviceaccounts/default"));
  await systemClock.sleep(SETTLE_MS);
  const programs = await programsOf(instance);
  const residentMb = programs.reduce((sum, { residentKiB }) => sum + residentKiB, 0) / 1000;
  await figure("idle cluster", `${residentMb.toFixed(0)} MB resident (aim under 650): ${words(programs)}`, { residentMb });

  await podsOnFargate(eks, stack);
  await stack.define("bench", [{ name: "web", command: COMMAND }]);
  const [pod, task]: [number[], number[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    const podMs = await onePod(ask, stack, round);
    const taskMs = await oneTask(stack);
    if (round < 0) continue;
    pod.push(podMs);
    task.push(taskMs);
  }
  const ratio = median(pod) / median(task);
  await figure(
    "pod",
    `to Running: median ${ms(median(pod))}, p95 ${ms(percentile(pod, 0.95))}; a task to RUNNING ${ms(median(task))}: ${ratio.toFixed(2)} times (aim at most 1.5)`,
    { medianMs: median(pod), p95Ms: percentile(pod, 0.95), taskMedianMs: median(task), ratio },
  );
  const podsMs = await stormOfPods(ask, stack);
  const tasksMs = await stormOfTasks(stack);
  await figure(
    "pods at once",
    `${STORM} pods of a deployment: ${ms(podsMs)} to the last one ready; ${STORM} tasks: ${ms(tasksMs)} to the last RUNNING: ${(podsMs / tasksMs).toFixed(2)} times`,
    { pods: STORM, podsMs, tasksMs, ratio: podsMs / tasksMs },
  );
  await rollOut(ask, stack);
} finally {
  await instance.remove();
}

function words(programs: readonly { readonly command: string; readonly residentKiB: number }[]): string {
  return programs.map(({ command, residentKiB }) => `${command.split(" ")[0]} ${(residentKiB / 1000).toFixed(0)}`).join(", ");
}

async function createCluster(eks: EKSClient, { subnets, roleArn }: Stack): Promise<number> {
  const startedMs = performance.now();
  await eks.send(new CreateClusterCommand({ name: CLUSTER, roleArn, resourcesVpcConfig: { subnetIds: [...subnets] } }));
  for (;;) {
    const { cluster } = await eks.send(new DescribeClusterCommand({ name: CLUSTER }));
    if (cluster?.status === "ACTIVE") return performance.now() - startedMs;
    if (cluster?.status === "FAILED") throw new Error(JSON.stringify(cluster.health));
    await systemClock.sleep(STORM_LOOK_MS / 5);
  }
}

/** As the cluster's creator, by one token of `aws eks get-token`, which is good for a quarter of an hour. */
async function connect(eks: EKSClient): Promise<Ask> {
  const { cluster } = await eks.send(new DescribeClusterCommand({ name: CLUSTER }));
  const { status } = await instance.aws<{ readonly status: { readonly token: string } }>("eks", "get-token", "--cluster-name", CLUSTER);
  const ca = Buffer.from(cluster?.certificateAuthority?.data ?? "", "base64");
  const agent = new Agent({ ca, keepAlive: true });
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${status.token}`,
        "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
      };
      const sent = request(new URL(path, cluster?.endpoint), { method, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if ((response.statusCode ?? 500) < 300) resolve(JSON.parse(text));
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        });
      });
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

async function podsOnFargate(eks: EKSClient, { roleArn }: Stack): Promise<void> {
  const name = { clusterName: CLUSTER, fargateProfileName: "default" };
  await eks.send(
    new CreateFargateProfileCommand({ ...name, podExecutionRoleArn: roleArn, selectors: ["default", ROLLED].map((namespace) => ({ namespace })) }),
  );
  await until("the profile is ACTIVE", async () => (await eks.send(new DescribeFargateProfileCommand(name))).fargateProfile?.status === "ACTIVE");
}

/** What a task of the smallest size is, which a pod without requests gets too. */
function podSpec({ image }: Stack): unknown {
  return { terminationGracePeriodSeconds: 2, containers: [{ name: "web", image, args: COMMAND }] };
}

async function onePod(ask: Ask, stack: Stack, round: number): Promise<number> {
  const name = `pod-${round + 1}`;
  const startedMs = performance.now();
  await ask("POST", PODS, { metadata: { name }, spec: podSpec(stack) });
  for (;;) {
    const { status } = await ask<{ readonly status: { readonly phase?: string } }>("GET", `${PODS}/${name}`);
    if (status.phase === "Running") break;
    await systemClock.sleep(LOOK_MS);
  }
  const tookMs = performance.now() - startedMs;
  await ask("DELETE", `${PODS}/${name}`);
  await noPodsLeft(ask);
  return tookMs;
}

function noPodsLeft(ask: Ask): Promise<unknown> {
  return until("the pods are gone", async () => (await ask<PodList>("GET", PODS)).items.length === 0, 300_000);
}

async function oneTask(stack: Stack): Promise<number> {
  const startedMs = performance.now();
  const arn = await stack.start("bench");
  while ((await stack.task(arn)).lastStatus !== "RUNNING") await systemClock.sleep(LOOK_MS);
  const tookMs = performance.now() - startedMs;
  await stack.ecs.send(new StopTaskCommand({ task: arn }));
  await stack.reach(arn, "STOPPED");
  return tookMs;
}

async function stormOfPods(ask: Ask, stack: Stack): Promise<number> {
  const labels = { app: "storm" };
  const template = { metadata: { labels }, spec: podSpec(stack) };
  const startedMs = performance.now();
  await ask("POST", DEPLOYMENTS, { metadata: { name: "storm" }, spec: { replicas: STORM, selector: { matchLabels: labels }, template } });
  for (;;) {
    const { status } = await ask<{ readonly status: { readonly readyReplicas?: number } }>("GET", `${DEPLOYMENTS}/storm`);
    if (status.readyReplicas === STORM) break;
    await systemClock.sleep(STORM_LOOK_MS);
  }
  const tookMs = performance.now() - startedMs;
  await ask("DELETE", `${DEPLOYMENTS}/storm`);
  await noPodsLeft(ask);
  return tookMs;
}

async function stormOfTasks(stack: Stack): Promise<number> {
  const { ecs } = stack;
  const startedMs = performance.now();
  const task = { taskDefinition: "bench", launchType: "FARGATE", count: 10, networkConfiguration: stack.network() } as const;
  const answers = await Promise.all(Array.from({ length: STORM / 10 }, () => ecs.send(new RunTaskCommand(task))));
  const failures = answers.flatMap((answer) => answer.failures ?? []);
  if (failures.length > 0) throw new Error(`not all tasks were taken: ${JSON.stringify(failures)}`);
  const arns = answers.flatMap((answer) => (answer.tasks ?? []).map(({ taskArn = "" }) => taskArn));
  const isRunning = async (): Promise<boolean> => {
    const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ tasks: arns }));
    return tasks.every(({ lastStatus }) => lastStatus === "RUNNING");
  };
  while (!(await isRunning())) await systemClock.sleep(STORM_LOOK_MS);
  const tookMs = performance.now() - startedMs;
  for (const task of arns) await ecs.send(new StopTaskCommand({ task }));
  await until("the tasks have stopped", async () => (await ecs.send(new ListTasksCommand({ desiredStatus: "RUNNING" }))).taskArns?.length === 0);
  return tookMs;
}
