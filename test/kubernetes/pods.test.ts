import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { createCluster, deleteCluster, type TestCluster } from "./support/cluster.ts";

/** Pods on Fargate, by the real aws and kubectl: run, reached by one another, without Tidegate, and deleted. */

interface Pod {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName?: string; readonly schedulerName: string };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly containerID?: string;
      readonly restartCount: number;
      readonly state: Readonly<Record<string, { readonly startedAt?: string; readonly exitCode?: number; readonly reason?: string } | undefined>>;
    }[];
  };
}

let instance: TestInstance;
let cluster: TestCluster;
let kubectl: TestCluster["kubectl"];

beforeAll(async () => {
  instance = await startInstance();
  cluster = await createCluster(instance);
  kubectl = (...args) => cluster.kubectl(...args);
}, 45 * 60_000);
afterAll(() => removeWithoutTrace(instance));

const pods = async (selector: string): Promise<readonly Pod[]> =>
  (JSON.parse(await kubectl("get", "pods", "--selector", selector, "--output", "json")) as { readonly items: readonly Pod[] }).items;
const names = async (kind: string): Promise<readonly string[]> =>
  (await kubectl("get", kind, "--output", "name")).split("\n").filter((line) => line !== "");
/** Waits for its end, and shows what it ended with. */
const ended = (name: string): Promise<unknown> =>
  until(`the pod ${name} has ended`, async () => {
    const status = (await pods(`run=${name}`))[0]?.status;
    return (
      (status?.phase === "Succeeded" || status?.phase === "Failed") && [status.phase, status.containerStatuses?.[0]?.state["terminated"]?.exitCode]
    );
  });

test("a deployment's pods run on Fargate, outlive Tidegate, and leave nothing", { timeout: 8 * 60_000 }, async () => {
  const { stack } = cluster;
  await cluster.profile({ namespace: "def*" });

  const begunMs = systemClock.steadyMs();
  const serve = "hostname > /www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait";
  await kubectl("create", "deployment", "web", "--image", stack.image, "--replicas", "2", "--", "sh", "-c", serve);
  await kubectl("rollout", "status", "deployment/web", "--timeout=80s");
  console.log(`two pods of a new deployment are ready: ${Math.round(systemClock.steadyMs() - begunMs)} ms`);
  const before = await pods("app=web");
  expect(before).toHaveLength(2);
  for (const { spec, status, metadata } of before) {
    expect(status).toMatchObject({ phase: "Running", containerStatuses: [{ restartCount: 0 }] });
    expect(spec).toMatchObject({ schedulerName: "fargate-scheduler", priorityClassName: "system-node-critical", priority: 2_000_001_000 });
    expect(spec.nodeName).toMatch(new RegExp(`^fargate-ip-${status.podIP?.replaceAll(".", "-")}\\.`));
    expect(metadata.annotations).toMatchObject({ CapacityProvisioned: "0.25vCPU 0.5GB" });
  }
  const web = before[0];
  expect(await kubectl("get", "node", web?.spec.nodeName ?? "", "--no-headers")).toMatch(/\bReady\b/);
  // Events come after the status that they are of.
  await until("what the pod has come through is told", async () => {
    const events = await kubectl("get", "events", "--field-selector", `involvedObject.name=${web?.metadata.name}`);
    return ["Scheduled", "Pulled", "Created", "Started"].every((reason) => events.includes(reason));
  });

  // A pod reaches another by its address, and the API server as its service account; its exit is its phase.
  await kubectl("create", "configmap", "words", "--from-literal", "greeting=hello");
  const asked = [
    `test "$greeting" = hello`,
    "test -s /var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "test -s /var/run/secrets/kubernetes.io/serviceaccount/token",
    "nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null",
    `test "$(wget -q -O- http://${web?.status.podIP}:8080/)" = ${web?.metadata.name}`,
  ]
    .map((command, index) => `{ ${command} || exit ${index + 1}; }`)
    .join(" && ");
  const overrides = {
    spec: { containers: [{ name: "asks", image: stack.image, command: ["sh", "-c", asked], envFrom: [{ configMapRef: { name: "words" } }] }] },
  };
  await kubectl("run", "asks", "--image", stack.image, "--restart", "Never", "--overrides", JSON.stringify(overrides));
  await kubectl("run", "fails", "--image", stack.image, "--restart", "Never", "--", "sh", "-c", "exit 3");
  expect(await ended("fails")).toEqual(["Failed", 3]);
  expect(await ended("asks")).toEqual(["Succeeded", 0]);
  // What Fargate forbids says so.
  const host = { hostNetwork: true, containers: [{ name: "host", image: stack.image, resources: { requests: { cpu: "100m" } } }] };
  await kubectl("run", "host", "--image", stack.image, "--restart", "Never", "--overrides", JSON.stringify({ spec: host }));
  await until("the pod is refused", async () =>
    (await kubectl("get", "events", "--field-selector", "involvedObject.name=host")).includes(
      "Pod not supported on Fargate: fields not supported: HostNetwork",
    ),
  );
  // So does a resize: of what runs the API server's own words, which knows what nodes can do, else the policy's.
  const resize = (pod: string, container: string): Promise<string> => {
    const patch = { spec: { containers: [{ name: container, resources: { requests: { cpu: "200m" } } }] } };
    return kubectl("patch", "pod", pod, "--subresource=resize", "--patch", JSON.stringify(patch));
  };
  await expect(resize(web?.metadata.name ?? "", "tiny")).rejects.toThrow(/node without support for resize/);
  await expect(resize("host", "host")).rejects.toThrow(/Pods on Fargate cannot be resized in place/);
  await kubectl("delete", "pod", "asks", "fails", "host");
  await logsToCloudWatch();

  // Without Tidegate all goes on; at its return it is as it was.
  const processes = await servers();
  expect(processes).toHaveLength(2);
  await instance.kill();
  expect(await servers()).toEqual(processes);
  await instance.up();
  await kubectl("scale", "deployment/web", "--replicas", "3");
  await kubectl("rollout", "status", "deployment/web", "--timeout=80s");
  const after = (await pods("app=web")).filter(({ metadata }) => before.some((pod) => pod.metadata.name === metadata.name));
  expect(after.map(({ status }) => status.containerStatuses)).toEqual(before.map(({ status }) => status.containerStatuses));
  expect(await servers()).toEqual(expect.arrayContaining([...processes]));

  const deletedMs = systemClock.steadyMs();
  await kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=80s");
  await until("the pods and their nodes are gone", async () => (await names("pods")).length === 0 && (await names("nodes")).length === 0);
  console.log(`three pods and their nodes are gone: ${Math.round(systemClock.steadyMs() - deletedMs)} ms`);
  await until("only the API server has an address", async () => {
    const found = await instance.aws<{ readonly NetworkInterfaces: readonly unknown[] }>("ec2", "describe-network-interfaces");
    return found.NetworkInterfaces.length === 1;
  });
  await cluster.deleteProfile();
  await deleteCluster(cluster);
});

/** By the ConfigMap aws-logging, as EKS documents it; one that is wrong says so, and the pod runs. */
async function logsToCloudWatch(): Promise<void> {
  const configMap = (output: string): string =>
    [
      "apiVersion: v1\nkind: Namespace\nmetadata: { name: aws-observability, labels: { aws-observability: enabled } }\n---",
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: aws-logging, namespace: aws-observability }\ndata:",
      "  parsers.conf: |\n    [PARSER]\n      Name crio\n      Format Regex",
      "      Regex ^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>P|F) (?<log>.*)$",
      "  filters.conf: |\n    [FILTER]\n      Name parser\n      Match *\n      Key_name log\n      Parser crio",
      "    [FILTER]\n      Name kubernetes\n      Match kube.*\n      Merge_Log On\n      Keep_Log Off",
      `  output.conf: |\n    [OUTPUT]\n      Name ${output}\n      Match *\n      region us-east-1\n      log_group_name /pods`,
      "      log_stream_prefix from-\n      auto_create_group true",
    ].join("\n");
  const apply = async (output: string): Promise<void> => {
    await run(["kubectl", "apply", "--filename", "-"], { environment: cluster.environment, stdin: configMap(output), timeoutMs: 60_000 });
  };
  const speak = async (name: string): Promise<string> => {
    await kubectl("run", name, "--image", cluster.stack.image, "--restart", "Never", "--", "sh", "-c", `echo '{"word":"hello"}'`);
    expect(await ended(name)).toEqual(["Succeeded", 0]);
    return kubectl("get", "events", "--field-selector", `involvedObject.name=${name}`);
  };
  await apply("cloudwatch_logs");
  expect(await speak("speaks")).toContain("Successfully enabled logging for pod");
  expect((await pods("run=speaks"))[0]?.metadata.annotations).toMatchObject({ Logging: "LoggingEnabled" });
  const { message, logStreamName } = await until("the line is in CloudWatch Logs", async () => {
    const asked = ["logs", "filter-log-events", "--log-group-name", "/pods"];
    return (await instance.aws<{ readonly events: readonly { readonly message: string; readonly logStreamName: string }[] }>(...asked)).events[0];
  });
  expect(logStreamName).toMatch(/^from-kube\.var\.log\.containers\.speaks_default_speaks-[0-9a-f-]+\.log$/);
  expect(JSON.parse(message)).toMatchObject({ word: "hello", stream: "stdout", kubernetes: { pod_name: "speaks", namespace_name: "default" } });
  await apply("s3");
  expect(await speak("mumbles")).toContain("s3 is not a supported output plugin. Please fix the logging configmap");
  await kubectl("delete", "pod", "speaks", "mumbles");
  await kubectl("delete", "namespace", "aws-observability", "--wait=false");
}

/** The pods' processes on the host: pids, in order. */
async function servers(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [command, cgroup] = await Promise.all([read("cmdline"), read("cgroup")]);
    if (command.startsWith("httpd\0") && cgroup.includes(instance.instanceId)) found.push(pid);
  }
  return found.sort();
}
