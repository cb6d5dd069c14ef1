import { type Addon, type AddonStatus, DescribeAddonCommand, ListAddonsCommand } from "@aws-sdk/client-eks";
import type { V1Pod, V1Service, V1ServiceSpec } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { until } from "../support/instance.ts";
import { type PodsCluster, startPodsCluster } from "./support/pods-cluster.ts";

/** Services by address and by name, from inside pods, with upstream's CoreDNS, and the add-on API; a cluster for all of it. */

let cluster: PodsCluster;
beforeAll(async () => {
  cluster = await startPodsCluster({ coredns: true });
}, 45 * 60_000);
afterAll(() => removeWithoutTrace(cluster.instance));

const serve = "hostname > /www/index.html; exec httpd -f -p 8080 -h /www";
const template = (app: string, command: readonly string[]): object => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "app", image: cluster.stack.image, command, ports: [{ name: "web", containerPort: 8080 }] }],
  },
});
const service = (name: string, spec: Partial<V1ServiceSpec>): V1Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "web" }], ...spec },
});

test("services lead to their pods by address and name, refuse without any, and go on without Tidegate", { timeout: 8 * 60_000 }, async () => {
  const { apply, kubectl, entered, podUntil, instance, stack } = cluster;
  const workload = { serviceName: "web-headless", replicas: 2, podManagementPolicy: "Parallel", selector: { matchLabels: { app: "web" } } };
  await apply(
    service("web", {}),
    service("web-headless", { clusterIP: "None" }),
    service("sticky", { sessionAffinity: "ClientIP" }),
    service("nobody", { selector: { app: "nobody" } }),
    service("elsewhere", { type: "ExternalName", externalName: "web.default.svc.cluster.local", selector: undefined, ports: undefined }),
    { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "web" }, spec: { ...workload, template: template("web", ["sh", "-c", serve]) } },
  );
  await apply({ ...template("asks", ["sleep", "3600"]), apiVersion: "v1", kind: "Pod", metadata: { name: "asks" } });
  const isReady = ({ status }: V1Pod): boolean => status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
  const [first, second] = [await podUntil("web-0", "is ready", isReady, 90_000), await podUntil("web-1", "is ready", isReady, 90_000)];
  await podUntil("asks", "is ready", isReady, 90_000);
  const address = async (name: string): Promise<string> => kubectl("get", "service", name, "--output", "jsonpath={.spec.clusterIP}");
  const [web, sticky, nobody] = [await address("web"), await address("sticky"), await address("nobody")];
  const asks = await entered("asks");
  const fetchTimes = async (times: number, url: string): Promise<readonly string[]> =>
    (await asks("sh", "-c", `for i in $(seq ${times}); do wget -q -O- ${url} 2>&1; done; true`)).trim().split("\n");
  const fetch = async (url: string): Promise<string> => (await fetchTimes(1, url)).join();
  const fetchOften = async (url: string): Promise<ReadonlySet<string>> => new Set(await fetchTimes(16, url));

  // By address: both pods, one of them for a client that is to stay, and nobody.
  await until("both pods are behind the service", async () => (await fetchOften(`http://${web}/`)).size === 2, 30_000);
  expect([...(await fetchOften(`http://${web}/`))].sort()).toEqual(["web-0", "web-1"]);
  expect((await fetchOften(`http://${sticky}/`)).size).toBe(1);
  expect(await fetch(`http://${nobody}/`)).toMatch(/refused/);

  // By name, once CoreDNS is there; it runs without a profile for its namespace.
  const dns = await kubectl("get", "service", "kube-dns", "--namespace", "kube-system", "--output", "jsonpath={.spec.clusterIP}");
  expect(await asks("cat", "/etc/resolv.conf")).toMatch(
    new RegExp(`^nameserver ${dns}\nsearch default.svc.cluster.local svc.cluster.local cluster.local \\S+\noptions ndots:5\n$`),
  );
  await kubectl("rollout", "status", "deployment/coredns", "--namespace", "kube-system", "--timeout=80s");
  await until("names are answered", async () => (await fetch("http://web/")).startsWith("web-"), 60_000);
  expect(await fetch("http://web.default.svc.cluster.local/")).toMatch(/^web-/);
  expect(await fetch("http://elsewhere/")).toMatch(/^web-/);
  expect(await fetch("http://web-1.web-headless:8080/")).toBe("web-1");
  const found = await asks("nslookup", "web-headless.default.svc.cluster.local");
  for (const pod of [first, second]) expect(found).toContain(pod.status?.podIP);
  expect(await asks("nslookup", "kubernetes.default.svc.cluster.local")).toContain("10.100.0.1");

  // The API server by its service; what every container is told of services.
  await asks("sh", "-c", "nc -w 5 10.100.0.1 443 </dev/null");
  expect(await kubectl("exec", "asks", "--", "env")).toMatch(/^KUBERNETES_SERVICE_HOST=10\.100\.0\.1$/m);

  // A task of ECS reaches a pod by its address.
  const taskArn = await stack.start(
    await stack.define("asks", [{ name: "asks", command: ["sh", "-c", `wget -q -O- http://${first.status?.podIP}:8080/`] }]),
    [await clusterGroup()],
  );
  await stack.reach(taskArn, "STOPPED");
  await until("the task has had its answer", async () => (await stack.lines(taskArn, "asks")).join("").includes("web-0"));

  // Without Tidegate the addresses stay; at its return they follow what became of the pods.
  await instance.kill();
  expect([...(await fetchOften(`http://${web}/`))].sort()).toEqual(["web-0", "web-1"]);
  expect(await fetch("http://web/")).toMatch(/^web-/);
  await instance.up();
  await kubectl("scale", "statefulset/web", "--replicas", "1");
  // A connection that is begun as its pod goes is answered by nobody: this one gives up by itself.
  const answerOf = async (times: number): Promise<readonly string[]> => {
    const ask = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${web} 80 2>&1 | tail -n 1`;
    return (await asks("sh", "-c", `for i in $(seq ${times}); do ${ask}; done; true`)).trim().split("\n");
  };
  await until("one pod is behind the service", async () => (await answerOf(8)).every((answer) => answer === "web-0"), 90_000);
  await kubectl("scale", "statefulset/web", "--replicas", "0");
  await until("nobody is behind the service", async () => /refused/.test((await answerOf(1)).join()), 90_000);
});

async function clusterGroup(): Promise<string> {
  const { cluster: shown } = await cluster.instance.aws<{
    readonly cluster: { readonly resourcesVpcConfig: { readonly clusterSecurityGroupId: string } };
  }>("eks", "describe-cluster", "--name", "shop");
  return shown.resourcesVpcConfig.clusterSecurityGroupId;
}

test("CoreDNS as an add-on: taken over, set, in conflict with the user, and deleted", { timeout: 4 * 60_000 }, async () => {
  const { instance, kubectl } = cluster;
  const which = ["--cluster-name", "shop", "--addon-name", "coredns"];
  const aws = (operation: string, ...args: readonly string[]): Promise<unknown> => instance.aws("eks", operation, ...which, ...args);
  const reach = (status: AddonStatus): Promise<Addon> =>
    until(
      `the add-on is ${status}`,
      async () => {
        const { addon } = await cluster.stack.eks.send(new DescribeAddonCommand({ clusterName: "shop", addonName: "coredns" }));
        return addon?.status === status && addon;
      },
      90_000,
    );
  const deployment = (path: string): Promise<string> =>
    kubectl("get", "deployment", "coredns", "--namespace", "kube-system", "--output", `jsonpath={${path}}`);
  expect(await instance.aws("eks", "list-addons", "--cluster-name", "shop")).toEqual({ addons: [] });
  await expect(aws("create-addon", "--configuration-values", `{"replicas":1}`)).rejects.toThrow("is not defined in the schema");
  await aws("create-addon", "--configuration-values", "replicaCount: 1");
  // The waiter looks every ten seconds: it is asked when it is so.
  await reach("ACTIVE");
  await instance.client(["aws", "eks", "wait", "addon-active", ...which]);
  expect(await deployment(".spec.replicas")).toBe("1");

  // What the user has set is theirs, unless it is to be overwritten, or kept.
  await kubectl("scale", "deployment/coredns", "--namespace", "kube-system", "--replicas", "3");
  const values = ["--configuration-values", "replicaCount: 2"];
  await aws("update-addon", ...values, "--resolve-conflicts", "NONE");
  const failed = await reach("UPDATE_FAILED");
  expect(failed.health?.issues).toEqual([
    expect.objectContaining({ code: "ConfigurationConflict", message: expect.stringContaining(".spec.replicas") }),
  ]);
  await aws("update-addon", ...values, "--resolve-conflicts", "PRESERVE");
  await reach("ACTIVE");
  expect(await deployment(".spec.replicas")).toBe("3");
  await aws("update-addon", ...values, "--resolve-conflicts", "OVERWRITE");
  await reach("ACTIVE");
  expect(await deployment(".spec.replicas")).toBe("2");

  await aws("delete-addon");
  await until("the add-on is gone", async () => (await cluster.stack.eks.send(new ListAddonsCommand({ clusterName: "shop" }))).addons?.length === 0);
  await instance.client(["aws", "eks", "wait", "addon-deleted", ...which]);
  await until("its pods are gone", async () => (await kubectl("get", "pods", "--namespace", "kube-system", "--output", "name")) === "", 60_000);
  await instance.aws("eks", "delete-fargate-profile", "--cluster-name", "shop", "--fargate-profile-name", "default");
});
