import type { V1ConfigMap, V1Node, V1Pod, V1Service } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { createCluster, type TestCluster } from "../../kubernetes/support/cluster.ts";
import { until } from "../../support/instance.ts";
import { type MachineInstance, startInMachine } from "../../support/machine-instance.ts";
import { type Machine, startMachine } from "../../support/machine.ts";

/** A machine with an EKS cluster that is switched off and on: what comes back, what is replaced, and that nothing stale stays. */

let machine: Machine;
let instance: MachineInstance;
let cluster: TestCluster;

beforeAll(async () => {
  machine = await startMachine();
  instance = await startInMachine(machine);
  cluster = await createCluster(instance);
  await cluster.profile({ namespace: "default" });
}, 45 * 60_000);

afterAll(() => machine?.dispose());

interface Described {
  readonly cluster: { readonly status: string; readonly endpoint: string; readonly certificateAuthority: { readonly data: string } };
}

const SERVICE = "service.beta.kubernetes.io/aws-load-balancer-";
const describe = async (): Promise<Described["cluster"]> => (await instance.aws<Described>("eks", "describe-cluster", "--name", "shop")).cluster;
const itemsOf = async <T>(...args: readonly string[]): Promise<readonly T[]> => (await cluster.get<{ readonly items: readonly T[] }>(...args)).items;
const podsOf = (app: string): Promise<readonly V1Pod[]> => itemsOf<V1Pod>("pods", "--selector", `app=${app}`);
const isReady = ({ status }: V1Pod): boolean => status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
const uidOf = ({ metadata }: V1Pod): string => metadata?.uid ?? "";

function template(app: string, command: string, more: object = {}): object {
  const container = { name: "app", image: cluster.stack.image, command: ["sh", "-c", command], ports: [{ name: "web", containerPort: 8080 }] };
  return { metadata: { labels: { app } }, spec: { terminationGracePeriodSeconds: 1, containers: [container], ...more } };
}

async function apply(...items: readonly object[]): Promise<void> {
  const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await instance.client(["kubectl", "--kubeconfig", cluster.environment["KUBECONFIG"] ?? "", "apply", "--filename", "-"], { stdin });
}

/** The distinct answers of ten requests, each to be answered. */
async function answersOf(hostname: string): Promise<ReadonlySet<string>> {
  const urls = Array.from({ length: 10 }, () => `http://${hostname}/`);
  const { stdout } = await machine.exec(["curl", "--silent", "--fail", "--no-keepalive", "--max-time", "5", ...urls], { timeoutMs: 60_000 });
  return new Set(stdout.trim().split("\n"));
}

test(
  "a reboot leaves a cluster its objects and its address; lost pods are replaced, and so is what leads to them",
  { timeout: 300_000 },
  async () => {
    const never = { restartPolicy: "Never" };
    await apply(
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "web" },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: "web" } },
          template: template("web", "hostname > /www/index.html; exec httpd -f -p 8080 -h /www"),
        },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: {
          name: "web",
          annotations: { [`${SERVICE}nlb-target-type`]: "ip", [`${SERVICE}healthcheck-interval`]: "5", [`${SERVICE}healthcheck-timeout`]: "2" },
        },
        spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80, targetPort: "web" }] },
      },
      { apiVersion: "batch/v1", kind: "Job", metadata: { name: "lost" }, spec: { template: template("lost", "exec sleep 3600", never) } },
      { apiVersion: "batch/v1", kind: "Job", metadata: { name: "done" }, spec: { template: template("done", "echo done", never) } },
      { apiVersion: "v1", kind: "Pod", ...template("alone", "exec sleep 3600"), metadata: { name: "alone", labels: { app: "alone" } } },
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kept" }, data: { key: "value" } },
    );
    await until("all pods are up", async () => {
      const found = await itemsOf<V1Pod>("pods");
      return found.length === 5 && found.every((pod) => isReady(pod) || pod.status?.phase === "Succeeded");
    });
    const hostname = await until(
      "the service has a name",
      async () => (await cluster.get<V1Service>("service", "web")).status?.loadBalancer?.ingress?.[0]?.hostname,
    );
    await until("both pods answer", async () => (await answersOf(hostname)).size === 2);
    const before = { cluster: await describe(), pods: await itemsOf<V1Pod>("pods"), answers: await answersOf(hostname) };

    await machine.reboot();
    const rebootedMs = systemClock.steadyMs();
    await instance.up();
    await until("the API server serves", async () => cluster.get<V1ConfigMap>("configmap", "kept"), 120_000);
    console.log(`after a reboot the API server serves: ${Math.round(systemClock.steadyMs() - rebootedMs)} ms`);
    expect((await cluster.get<V1ConfigMap>("configmap", "kept")).data).toEqual({ key: "value" });
    const described = await describe();
    expect(described).toMatchObject({ ...before.cluster, status: "ACTIVE" });

    // Each controller has others; a pod of nobody's is gone, and one that had ended is there still, with its logs.
    const known = new Set(before.pods.map(uidOf));
    await until(
      "the pods are others, and ready",
      async () => {
        const found = [...(await podsOf("web")), ...(await podsOf("lost"))].filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
        return found.length === 3 && found.every((pod) => isReady(pod) && !known.has(uidOf(pod)));
      },
      120_000,
    );
    console.log(`after a reboot all pods are replaced: ${Math.round(systemClock.steadyMs() - rebootedMs)} ms`);
    await until("the pod of nobody is gone", async () => (await podsOf("alone")).length === 0);
    const [done] = await podsOf("done");
    expect(done).toMatchObject({
      metadata: { uid: uidOf(before.pods.find(({ metadata }) => metadata?.labels?.["app"] === "done") ?? {}) },
      status: { phase: "Succeeded" },
    });
    expect(await cluster.kubectl("logs", "job/done")).toBe("done\n");
    expect(await cluster.kubectl("get", "job", "lost", "--output", "jsonpath={.status.failed}")).toBe("1");
    const told = await cluster.kubectl(
      "get",
      "events",
      "--field-selector",
      "reason=NodeLost",
      "--output",
      "jsonpath={.items[*].involvedObject.name}",
    );
    for (const { metadata } of before.pods) if (metadata?.labels?.["app"] !== "done") expect(told).toContain(metadata?.name);
    const answers = await until("both new pods answer", async () => {
      const now = await answersOf(hostname).catch(() => undefined);
      return now?.size === 2 && now;
    });
    expect([...answers].filter((answer) => before.answers.has(answer))).toEqual([]);

    // No node, address, lease or endpoint of a pod that was.
    const pods = await itemsOf<V1Pod>("pods");
    const nodes = pods.map(({ spec }) => spec?.nodeName ?? "").toSorted();
    await until("the nodes are the pods'", async () => {
      const found = (await itemsOf<V1Node>("nodes")).map(({ metadata }) => metadata?.name ?? "");
      return JSON.stringify(found.toSorted()) === JSON.stringify(nodes);
    });
    await until("the leases are the nodes'", async () => {
      const found = (
        await cluster.kubectl("get", "leases", "--namespace", "kube-node-lease", "--output", "jsonpath={.items[*].metadata.name}")
      ).split(" ");
      return JSON.stringify(found.toSorted()) === JSON.stringify(nodes);
    });
    const addresses = await cluster.kubectl(
      "get",
      "endpointslices",
      "--selector",
      "kubernetes.io/service-name=web",
      "--output",
      "jsonpath={.items[*].endpoints[*].addresses[0]}",
    );
    expect(addresses.split(" ").toSorted()).toEqual((await podsOf("web")).map(({ status }) => status?.podIP ?? "").toSorted());
    // Those of the pods, the API server and the load balancer's subnets.
    const { NetworkInterfaces: interfaces } = await instance.aws<{ readonly NetworkInterfaces: readonly { readonly Description: string }[] }>(
      "ec2",
      "describe-network-interfaces",
    );
    expect(interfaces.filter(({ Description: of }) => of.startsWith("Amazon EKS Fargate pod"))).toHaveLength(pods.length);
  },
);
