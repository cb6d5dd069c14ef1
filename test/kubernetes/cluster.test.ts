import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, DescribeClusterCommand, DescribeUpdateCommand, EKSClient, ListClustersCommand } from "@aws-sdk/client-eks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { type OidcIssuer, startIssuer } from "../support/oidc-issuer.ts";
import { clientOptions } from "../support/stack.ts";
import { writeKubeconfig } from "./support/kubeconfig.ts";
import { letsInByMapAndEntries, letsInByProvider, refusesBadTokens, type Within } from "./support/lets-in.ts";
import { type Program, programsOf } from "./support/programs.ts";

/** A cluster, by the real aws and kubectl: made, used, without Tidegate, with its API server killed, and deleted. */

let instance: TestInstance;
let environment: Record<string, string>;
let folder: string;
let issuer: OidcIssuer;
/** For what is asked again and again. */
let eks: EKSClient;

beforeAll(async () => {
  await run(["kubectl", "version", "--client"]).catch((error: unknown) => {
    throw new Error("this test drives clusters with kubectl, which is not on PATH", { cause: error });
  });
  instance = await startInstance();
  eks = new EKSClient(clientOptions(instance));
  folder = await mkdtemp(join(tmpdir(), "tidegate-cluster-"));
  environment = { ...instance.environment, KUBECONFIG: join(folder, "kubeconfig") };
  // Of an authority that the Tidegate of the second start trusts, and so the API server.
  issuer = await startIssuer("host.tidegate.internal");
  process.env["NODE_EXTRA_CA_CERTS"] = join(folder, "authority.pem");
  await writeFile(join(folder, "authority.pem"), issuer.authority);
  // Where the control plane has to be built first, that is no part of what is measured.
  await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
}, 45 * 60_000);
afterAll(async () => {
  delete process.env["NODE_EXTRA_CA_CERTS"];
  issuer[Symbol.dispose]();
  await removeWithoutTrace(instance);
  await rm(folder, { recursive: true, force: true });
});

const kubectl = async (...args: readonly string[]): Promise<string> => (await run(["kubectl", ...args], { environment, timeoutMs: 60_000 })).stdout;
const describeCluster = async (): Promise<Cluster | undefined> => (await eks.send(new DescribeClusterCommand({ name: "shop" }))).cluster;
const isGone = async (): Promise<boolean> => !(await eks.send(new ListClustersCommand({}))).clusters?.includes("shop");

test("a cluster serves kubectl, outlives Tidegate and its own API server, and leaves nothing", { timeout: 10 * 60_000 }, async () => {
  const subnets = await instance.aws<{ readonly Subnets: readonly { readonly SubnetId: string }[] }>("ec2", "describe-subnets");
  const subnetIds = subnets.Subnets.map(({ SubnetId }) => SubnetId).join(",");
  const trust = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "eks.amazonaws.com" }, Action: "sts:AssumeRole" }],
  });
  const makeRole = ["iam", "create-role", "--role-name", "eks", "--assume-role-policy-document", trust];
  const role = await instance.aws<{ readonly Role: { readonly Arn: string } }>(...makeRole);
  const begunMs = systemClock.steadyMs();
  const network = `subnetIds=${subnetIds}`;
  const make = [
    "eks",
    "create-cluster",
    "--name",
    "shop",
    "--role-arn",
    role.Role.Arn,
    "--resources-vpc-config",
    network,
    "--no-bootstrap-self-managed-addons",
  ];
  const { cluster } = await instance.aws<{ readonly cluster: Cluster }>(...make);
  expect(cluster).toMatchObject({ status: "CREATING" });
  expect(cluster.endpoint).toBeUndefined();
  const { endpoint = "" } = await until(
    "the cluster is ACTIVE",
    async () => {
      const now = await describeCluster();
      if (now?.status === "FAILED") throw new Error(JSON.stringify(now));
      return now?.status === "ACTIVE" && now;
    },
    240_000,
  );
  console.log(`create-cluster to ACTIVE: ${Math.round(systemClock.steadyMs() - begunMs)} ms`);
  await instance.client(["aws", "eks", "wait", "cluster-active", "--name", "shop"]);
  await writeKubeconfig(instance, { cluster: "shop", path: environment["KUBECONFIG"] ?? "" });

  expect(await kubectl("get", "namespaces", "--output", "name")).toContain("namespace/kube-system");
  await kubectl("create", "configmap", "kept", "--from-literal", "key=value");
  await kubectl("create", "secret", "generic", "hidden", "--from-literal", "word=in-the-clear");
  expect(await kubectl("auth", "can-i", "*", "*")).toContain("yes");
  expect(await etcdHolds(instance, "in-the-clear")).toBe(false);
  expect(await etcdHolds(instance, "configmaps/default/kept")).toBe(true);
  console.log(`resident in all: ${Math.round((await residentKiB()) / 1024)} MiB`);

  // As it is made: each call of kubectl asks who it is anew.
  const made = join(folder, "kubeconfig-as-made");
  await instance.client(["aws", "eks", "update-kubeconfig", "--name", "shop", "--kubeconfig", made]);
  const within: Within = { instance, cluster: "shop", endpoint, environment: { ...environment, KUBECONFIG: made } };
  await letsInByMapAndEntries(within);
  await refusesBadTokens(within);
  await keepsLogs(endpoint);

  // Without Tidegate the API server serves on, and lets nobody new in.
  await instance.kill();
  const ready = ["curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"];
  expect((await run([...ready, `${endpoint}/readyz`])).stdout).toBe("200");
  expect((await run([...ready, "--header", "Authorization: Bearer k8s-aws-v1.x", `${endpoint}/api`], { timeoutMs: 60_000 })).stdout).toBe("401");
  const before = await programs();
  const atMs = systemClock.nowMs() - 1000;
  await instance.up(["--host-port", String(issuer.port)]);
  expect(await kubectl("get", "configmap", "kept", "--output", "jsonpath={.data.key}")).toBe("value");
  expect((await programs()).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));

  await letsInByProvider(within, issuer);

  const taken = await until("a snapshot is taken", async () => (await snapshots()).find((each) => each.takenAtMs >= atMs));

  // Its API server and etcd are killed: the next ones have what was there, at the same address.
  const killed = before.filter(({ command }) => /^(kube-apiserver|etcd) /.test(command));
  expect(killed).toHaveLength(2);
  for (const { pid } of killed) process.kill(Number(pid), "SIGKILL");
  await until(
    "others serve",
    async () => {
      const now = await programs();
      return now.length === 4 && !now.some(({ pid }) => killed.some((each) => each.pid === pid)) && (await kubectl("get", "configmap", "kept"));
    },
    120_000,
  );
  expect(await kubectl("get", "configmap", "kept", "--output", "jsonpath={.data.key}")).toBe("value");
  expect((await describeCluster())?.endpoint).toBe(endpoint);

  // All of it is ended, as by a reboot: another workload takes over address and data.
  const ended = await programs();
  process.kill(Number(await firstOfSandbox(ended[0]?.pid ?? "")), "SIGKILL");
  await until(
    "another control plane serves",
    async () => {
      const now = await programs();
      return now.length === 4 && now.every((each) => !ended.some(({ pid: old }) => old === each.pid)) && (await kubectl("get", "configmap", "kept"));
    },
    120_000,
  );
  expect(await describeCluster()).toMatchObject({ status: "ACTIVE", endpoint });

  await comesBackFromSnapshots(taken.name);
  const archive = join(folder, "backup.tar");
  await instance.cli(["backup", archive]);

  // Deleted, also by a Tidegate that was killed over it.
  const endedMs = systemClock.steadyMs();
  await instance.client(["aws", "eks", "delete-cluster", "--name", "shop"]);
  await instance.kill();
  await instance.up();
  await until("the cluster is gone", isGone, 120_000);
  console.log(`delete-cluster to its end, with a restart of Tidegate: ${Math.round(systemClock.steadyMs() - endedMs)} ms`);
  await instance.client(["aws", "eks", "wait", "cluster-deleted", "--name", "shop"]);
  expect(await programs()).toEqual([]);
  expect(await readdir(join(instance.dataDir, "volumes"))).toEqual([]);
  const groups = await instance.aws<{ readonly SecurityGroups: readonly { readonly GroupName: string }[] }>("ec2", "describe-security-groups");
  expect(groups.SecurityGroups.map(({ GroupName }) => GroupName)).toEqual(["default"]);
  const interfaces = await instance.aws<{ readonly NetworkInterfaces: readonly unknown[] }>("ec2", "describe-network-interfaces");
  expect(interfaces.NetworkInterfaces).toEqual([]);

  // The backup brings it back, Secrets with the key that they were encrypted with.
  await removeWithoutTrace(instance);
  const dataDir = join(folder, "restored");
  await run([join(import.meta.dirname, "../../tidegate"), "--data-dir", dataDir, "restore", archive], { timeoutMs: 120_000 });
  instance = await startInstance([], { dataDir });
  eks = new EKSClient(clientOptions(instance));
  const kept = await until("the restored cluster serves", () => kubectl("get", "secret", "hidden", "--output", "jsonpath={.data.word}"), 120_000);
  expect(Buffer.from(kept, "base64").toString()).toBe("in-the-clear");
  expect(await describeCluster()).toMatchObject({ status: "ACTIVE", endpoint });
});

/** All logs are switched on: address and objects stay, and each log has its stream. */
async function keepsLogs(endpoint: string): Promise<void> {
  const logging = JSON.stringify({ clusterLogging: [{ types: ["api", "audit", "authenticator", "controllerManager", "scheduler"], enabled: true }] });
  const begun = await instance.aws<{ readonly update: { readonly id: string; readonly status: string } }>(
    "eks",
    "update-cluster-config",
    "--name",
    "shop",
    "--logging",
    logging,
  );
  expect(begun.update.status).toBe("InProgress");
  await until(
    "the update is done",
    async () => (await eks.send(new DescribeUpdateCommand({ name: "shop", updateId: begun.update.id }))).update?.status === "Successful",
    120_000,
  );
  expect(await describeCluster()).toMatchObject({ status: "ACTIVE", endpoint, logging: { clusterLogging: [{ enabled: true }] } });
  expect(await kubectl("get", "configmap", "kept", "--output", "jsonpath={.data.key}")).toBe("value");
  const group = ["--log-group-name", "/aws/eks/shop/cluster"];
  const lines = async (prefix: string, ...pattern: readonly string[]): Promise<readonly { readonly message: string }[]> => {
    const asked = [
      "filter-log-events",
      ...group,
      "--log-stream-name-prefix",
      prefix,
      ...(pattern.length > 0 ? ["--filter-pattern", ...pattern] : []),
    ];
    return (await instance.aws<{ readonly events: readonly { readonly message: string }[] }>("logs", ...asked)).events;
  };
  const request = '{ $.objectRef.name = "kept" && $.verb = "get" && $.user.username = "*root" }';
  await until("the audit log has the request", async () => (await lines("kube-apiserver-audit-", request)).length > 0);
  for (const { message } of await lines("kube-apiserver-audit-"))
    expect(JSON.parse(message)).toMatchObject({ kind: "Event", level: expect.any(String) });
  for (const [prefix, pattern] of [
    ["authenticator-", '"access granted"'],
    ["kube-controller-manager-", '"Starting"'],
    ["kube-scheduler-", '"Starting"'],
  ] as const) {
    await until(`there are lines of ${prefix}`, async () => (await lines(prefix, pattern)).length > 0);
  }
  const streams = await instance.aws<{ readonly logStreams: readonly { readonly logStreamName: string }[] }>(
    "logs",
    "describe-log-streams",
    ...group,
  );
  const own = streams.logStreams.filter(({ logStreamName }) => /^kube-apiserver-[0-9a-f]{32}$/.test(logStreamName));
  expect(own).toHaveLength(1);
}

interface Snapshot {
  readonly name: string;
  readonly takenAtMs: number;
}

async function snapshots(): Promise<readonly Snapshot[]> {
  const { stdout } = await instance.cli(["snapshots", "shop", "--json"]);
  return (JSON.parse(stdout) as { readonly snapshots: readonly Snapshot[] }).snapshots;
}

/** etcd's files are damaged, which the operator mends by a command; then they are gone with all that runs, which mends itself. */
async function comesBackFromSnapshots(snapshot: string): Promise<void> {
  const volumes = join(instance.dataDir, "volumes");
  const volume = join(volumes, (await readdir(volumes)).find((name) => !name.endsWith("-snapshots")) ?? "");
  const database = join(volume, "data", "member", "snap", "db");
  await kubectl("create", "configmap", "later", "--from-literal", "key=value");
  const endsEtcd = async (): Promise<void> => {
    const { pid = "" } = (await programs()).find(({ command }) => command.startsWith("etcd")) ?? {};
    process.kill(Number(pid), "SIGKILL");
  };
  await writeFile(database, Buffer.alloc(100_000, 7));
  await endsEtcd();
  await until("etcd does not run, and status says what to do", async () => {
    const { stdout } = await instance.cli(["status"], { okCodes: [1] });
    return stdout.includes("tidegate snapshots shop --restore latest");
  });
  await instance.cli(["snapshots", "shop", "--restore", snapshot]);
  await until("the cluster serves", async () => (await kubectl("get", "configmap", "kept")).includes("kept"));
  await expect(kubectl("get", "configmap", "later")).rejects.toThrow(/not found/);
  expect((await readdir(volume)).some((name) => name.startsWith("data.before-"))).toBe(true);

  const [first] = await programs();
  process.kill(Number(await firstOfSandbox(first?.pid ?? "")), "SIGKILL");
  await until("all of it has ended", async () => !(await programs()).some(({ pid }) => pid === first?.pid));
  await rm(join(volume, "data"), { recursive: true });
  await until("the cluster serves", async () => (await kubectl("get", "configmap", "kept")).includes("kept"), 120_000);
}

const programs = (): Promise<readonly Program[]> => programsOf(instance);

/** The process that holds the sandbox of a program: its sibling under the shim. */
async function firstOfSandbox(pid: string): Promise<string> {
  const parentOf = async (of: string): Promise<string> => {
    const stat = await readFile(`/proc/${of}/stat`, "utf8").catch(() => "");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? "";
  };
  const [shim, ours] = [await parentOf(pid), await programs()];
  for (const other of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if ((await parentOf(other)) === shim && !ours.some((program) => program.pid === other)) return other;
  }
  throw new Error(`the sandbox of process ${pid} has no process of its own`);
}

async function residentKiB(): Promise<number> {
  return (await programs()).reduce((sum, each) => sum + each.residentKiB, 0);
}

/** Whether etcd's files on the host hold these bytes. */
async function etcdHolds({ dataDir }: TestInstance, text: string): Promise<boolean> {
  const { code } = await run(["grep", "--recursive", "--quiet", "--binary-files=text", text, join(dataDir, "volumes")], { okCodes: [0, 1] });
  return code === 0;
}
