/**
 * Upstream's own conformance tests against a cluster of this Tidegate: `npm run test:conformance [-- [--in FOLDER] [--focus EXPRESSION] [GROUP…]]`. With `--in`,
 * instance and cluster are kept under that folder, and used again. Prints each test that was run; ends with 1 where one failed. A run of all writes
 * docs/kubernetes-conformance.md.
 */
import { spawn } from "node:child_process";
import { mkdir, open, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../src/core/clock.ts";
import { readTextIfAny } from "../../src/host/files.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { createStack, ecrLogin } from "../support/stack.ts";
import { documentOf } from "./document.ts";
import { FORBIDDEN, GROUPS, OPEN } from "./groups.ts";
import { pushTestImages } from "./images.ts";
import { conformancePrograms, type ConformancePrograms } from "./programs.ts";
import { type GinkgoReport, type Result, resultsOf } from "./report.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const REPORTS = join(ROOT, ".cache/conformance");
const DOCUMENT = join(ROOT, "docs/kubernetes-conformance.md");
const CLUSTER = "shop";
const TAINT = "eks.amazonaws.com/compute-type";

/**
 * Of no machine. Many tests ask for a node that anything may be scheduled to before they begin, which no node of a pod's own is; where they send their
 * pods to it by name, Fargate gives them a place all the same.
 */
const STAND_IN = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "stands-in", labels: { "kubernetes.io/hostname": "stands-in", "kubernetes.io/os": "linux" } },
  status: {
    conditions: [{ type: "Ready", status: "True", reason: "StandsIn", message: "It is no machine: pods on Fargate have nodes of their own" }],
    allocatable: { cpu: "8", memory: "16Gi", pods: "110" },
  },
};

const options = { in: { type: "string" }, focus: { type: "string", default: "" } } as const;
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const unknown = positionals.filter((name) => GROUPS[name] === undefined);
if (unknown.length > 0) throw new Error(`there is no group ${unknown.join(", ")}; there are ${Object.keys(GROUPS).join(", ")}`);
const isWhole = positionals.length === 0 && values.focus === "";

const programs = await conformancePrograms((text) => console.log(text));
await mkdir(REPORTS, { recursive: true });
if (values.in !== undefined) await mkdir(values.in, { recursive: true });
const instance = await startInstance([], { dataDir: values.in });
try {
  const kubeconfig = join(instance.dataDir, "kubeconfig");
  if ((await readTextIfAny(kubeconfig)) === undefined) await makeCluster(instance, kubeconfig, programs);
  const results: Record<string, readonly Result[]> = {};
  // They mostly wait; each test has a namespace of its own.
  const chosen = positionals.length > 0 ? positionals : Object.keys(GROUPS);
  await Promise.all(
    chosen.map(async (group) => {
      console.log(`${group}: ${join(REPORTS, group)}.log`);
      results[group] = await runGroup(group, kubeconfig);
      results[group].filter(wasRun).forEach(tell);
    }),
  );
  const all = Object.values(results).flat();
  const count = (state: Result["state"]): number => all.filter((each) => each.state === state).length;
  console.log(`${count("passed")} passed, ${count("failed")} failed; ${count("forbidden")} forbidden on Fargate, ${count("open")} open`);
  if (isWhole) await writeFile(DOCUMENT, documentOf(Object.fromEntries(chosen.map((group) => [group, results[group] ?? []]))));
  if (count("failed") > 0) process.exitCode = 1;
} finally {
  if (values.in === undefined) await removeWithoutTrace(instance);
}

function wasRun({ state }: Result): boolean {
  return state === "passed" || state === "failed";
}

function tell({ name, state, seconds, words }: Result): void {
  console.log(`${state} ${seconds.toFixed(0)} s ${name}${words === "" ? "" : `\n    ${words}`}`);
}

/** A cluster with CoreDNS, all of whose pods run on Fargate, and the tests' images. */
async function makeCluster(of: TestInstance, kubeconfig: string, made: ConformancePrograms): Promise<void> {
  await of.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
  const stack = await createStack(of);
  const [username = "", password = ""] = (await ecrLogin(stack.ecr)).split(":");
  await pushTestImages({ host: `localhost:${of.port}`, username, password }, made, new Date(systemClock.nowMs()).toISOString());
  const vpc = ["--resources-vpc-config", `subnetIds=${stack.subnets.join(",")}`];
  await of.aws("eks", "create-cluster", "--name", CLUSTER, "--role-arn", stack.roleArn, ...vpc);
  await of.client(["aws", "eks", "wait", "cluster-active", "--name", CLUSTER], { timeoutMs: 300_000 });
  const profile = ["--cluster-name", CLUSTER, "--fargate-profile-name", "all", "--pod-execution-role-arn", stack.roleArn];
  await of.aws("eks", "create-fargate-profile", ...profile, "--selectors", "namespace=*");
  // Has its name when the cluster is ready.
  const draft = `${kubeconfig}.draft`;
  await of.client(["aws", "eks", "update-kubeconfig", "--name", CLUSTER, "--kubeconfig", draft]);
  const kubectl = ["kubectl", "--kubeconfig", draft];
  const ready = [...kubectl, "rollout", "status", "deployment/coredns", "--namespace", "kube-system", "--timeout=5s"];
  await until("CoreDNS serves", async () => (await of.client(ready)).code === 0, 300_000);
  await of.client([...kubectl, "create", "--filename", "-"], { stdin: JSON.stringify(STAND_IN) });
  // `aws eks get-token` at each of the tests' calls of kubectl takes seconds where the machine is busy, and some of them count on less.
  const account = ["serviceaccount", "conformance", "--namespace", "kube-system"];
  await of.client([...kubectl, "create", ...account]);
  const binding = ["clusterrolebinding", "conformance", "--clusterrole", "cluster-admin", "--serviceaccount", "kube-system:conformance"];
  await of.client([...kubectl, "create", ...binding]);
  const token = await of.client([...kubectl, "create", "token", "conformance", "--namespace", "kube-system", "--duration", "24h"]);
  await of.client([...kubectl, "config", "set-credentials", "conformance", `--token=${token.stdout.trim()}`]);
  await of.client([...kubectl, "config", "set-context", "--current", "--user=conformance"]);
  await rename(draft, kubeconfig);
}

async function runGroup(group: string, kubeconfig: string): Promise<readonly Result[]> {
  const files = GROUPS[group] ?? [];
  const report = join(REPORTS, `${group}.json`);
  const flags = [
    ...files.map((file) => `--ginkgo.focus-file=${file}`),
    ...(values.focus === "" ? [] : [`--ginkgo.focus=${values.focus}`]),
    "--ginkgo.label-filter=Conformance && !Serial && !Disruptive",
    ...[...FORBIDDEN, ...OPEN].map(({ name }) => `--ginkgo.skip=${name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}`),
    "--ginkgo.timeout=3h",
    "--ginkgo.no-color",
    "--ginkgo.v",
    "--ginkgo.silence-skips",
    `--ginkgo.json-report=${report}`,
    `--kubeconfig=${kubeconfig}`,
    "--provider=local",
    // Every node is one pod's, and says so by a taint.
    `--non-blocking-taints=${TAINT}`,
    "--num-nodes=1",
    "--allowed-not-ready-nodes=-1",
    // It asks every node for metrics that ours have not, for a minute or two.
    "--dump-logs-on-failure=false",
  ];
  const log = await open(join(REPORTS, `${group}.log`), "w");
  try {
    const child = spawn(programs.tests, flags, { env: { ...process.env, ...instance.environment }, stdio: ["ignore", log.fd, log.fd] });
    await new Promise((ended) => child.on("close", ended));
  } finally {
    await log.close();
  }
  const [read] = JSON.parse(await readFile(report, "utf8")) as readonly GinkgoReport[];
  return read === undefined ? [] : resultsOf(read, files);
}
