import { randomUUID } from "node:crypto";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DescribeAddonCommand } from "@aws-sdk/client-eks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { background, startInstance, type TestInstance, until } from "../support/instance.ts";
import { createCluster, type TestCluster } from "./support/cluster.ts";

/**
 * What the API server asks of nodes, by the real kubectl: logs, exec, attach, cp, port-forward, debug, figures; and who else may not. What
 * metrics-server asks of them, for `kubectl top` and an autoscaler.
 */

let instance: TestInstance;
let cluster: TestCluster;
/** Set with the cluster. */
let kubectl: TestCluster["kubectl"];

interface Pod {
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly phase: string;
    readonly podIP: string;
    readonly containerStatuses: readonly { readonly restartCount: number; readonly state: Readonly<Record<string, unknown>> }[];
    readonly ephemeralContainerStatuses?: readonly { readonly name: string; readonly state: Readonly<Record<string, unknown>> }[];
  };
}

beforeAll(async () => {
  instance = await startInstance();
  cluster = await createCluster(instance);
  kubectl = (...args) => cluster.kubectl(...args);
  await cluster.profile({ namespace: "default" });
  // Figures take two looks, a quarter of a minute apart: they come while the rest is tested.
  await instance.aws("eks", "create-addon", ...METRICS_SERVER, "--configuration-values", `{"replicas":1}`);
  await apply(...scaledByLoad(), loadOf(`http://${BURNS_ADDRESS}/cgi-bin/burn`));
  await runPod("web", "hostname > /www/index.html; echo serving; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait");
  await kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=80s");
}, 45 * 60_000);
afterAll(() => removeWithoutTrace(instance));

async function runPod(name: string, command: string, ...flags: readonly string[]): Promise<void> {
  await kubectl("run", name, "--image", cluster.stack.image, ...flags, "--", "sh", "-c", command);
}

const METRICS_SERVER = ["--cluster-name", "shop", "--addon-name", "metrics-server"];
const apply = (...items: readonly unknown[]): Promise<string> =>
  withInput(JSON.stringify({ apiVersion: "v1", kind: "List", items }), "apply", "-f", "-");

const BURNS_ADDRESS = "10.100.0.80";

/** A Deployment that works for each request, its Service, and who is to scale it, up and soon down again. */
function scaledByLoad(): readonly unknown[] {
  const burn = "#!/bin/sh\necho; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo burnt\n";
  const command = [
    "sh",
    "-c",
    'mkdir /www/cgi-bin; printf %s "$BURN" > /www/cgi-bin/burn; chmod +x /www/cgi-bin/burn; exec httpd -f -p 8080 -h /www',
  ];
  const resources = { requests: { cpu: "50m", memory: "16Mi" }, limits: { cpu: "100m" } };
  const container = { name: "burns", image: cluster.stack.image, command, env: [{ name: "BURN", value: burn }], resources };
  const labels = { app: "burns" };
  const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 1, containers: [container] } };
  const metadata = { name: "burns" };
  const target = { type: "Utilization", averageUtilization: 50 };
  return [
    { apiVersion: "v1", kind: "Service", metadata, spec: { clusterIP: BURNS_ADDRESS, selector: labels, ports: [{ port: 80, targetPort: 8080 }] } },
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { selector: { matchLabels: labels }, template } },
    {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata,
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "burns" },
        minReplicas: 1,
        maxReplicas: 2,
        metrics: [{ type: "Resource", resource: { name: "cpu", target } }],
        behavior: { scaleDown: { stabilizationWindowSeconds: 0 } },
      },
    },
  ];
}

/** A pod that asks for this again and again. */
function loadOf(url: string): unknown {
  const command = ["sh", "-c", `while :; do wget -q -O- ${url} || sleep 1; done`];
  const container = { name: "load", image: cluster.stack.image, command, resources: { limits: { cpu: "100m" } } };
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "load" }, spec: { terminationGracePeriodSeconds: 1, containers: [container] } };
}

const replicasOfBurns = (): Promise<string> => kubectl("get", "deployment", "burns", "--output", "jsonpath={.spec.replicas}");

const pod = (name: string): Promise<Pod> => cluster.get<Pod>("pod", name);
/** Its exit code and what it said, whatever that is. */
async function outcome(...args: readonly string[]): Promise<{ readonly code: number; readonly said: string }> {
  const okCodes = Array.from({ length: 256 }, (_, code) => code);
  const { code, stdout, stderr } = await run(["kubectl", ...args], { environment: cluster.environment, timeoutMs: 60_000, okCodes });
  return { code, said: stdout + stderr };
}
/** As on a terminal of 101 columns and 33 rows, which becomes one of 120 and 44 once a file is in the pod. */
async function onTerminal({ resizedBy }: { readonly resizedBy: string }, ...args: readonly string[]): Promise<string> {
  const resize = `until kubectl exec web -- test -e ${resizedBy} 2>/dev/null; do sleep 0.2; done; stty rows 44 cols 120 </dev/tty`;
  const command = `stty rows 33 cols 101; (${resize}) & ${["kubectl", ...args].join(" ")}`;
  return (await run(["script", "-qec", command, "/dev/null"], { environment: cluster.environment, timeoutMs: 60_000 })).stdout;
}
const withInput = async (stdin: string, ...args: readonly string[]): Promise<string> =>
  (await run(["kubectl", ...args], { environment: cluster.environment, stdin, timeoutMs: 60_000 })).stdout;

test("logs: of what runs, of what ran before, of what has ended, and while they are written", { timeout: 4 * 60_000 }, async () => {
  await runPod("talks", "for i in $(seq 1 5); do echo line $i; done; echo trouble >&2; sleep 600", "--restart", "Never");
  await kubectl("wait", "--for=condition=Ready", "pod/talks", "--timeout=80s");
  const whole = ["line 1", "line 2", "line 3", "line 4", "line 5", "trouble", ""].join("\n");
  await until("all is written", async () => (await kubectl("logs", "talks")).length === whole.length);
  // The two outputs reach the runtime by pipes of their own.
  expect((await kubectl("logs", "talks", "-c", "talks")).split("\n").sort()).toEqual(whole.split("\n").sort());
  expect((await kubectl("logs", "talks", "--tail", "2")).split("\n")).toHaveLength(3);
  expect((await kubectl("logs", "talks", "--limit-bytes", "9")).length).toBe(9);
  expect(await kubectl("logs", "talks", "--since", "1h")).toHaveLength(whole.length);
  expect(await kubectl("logs", "talks", "--since-time", "2100-01-01T00:00:00Z")).toBe("");
  for (const line of (await kubectl("logs", "talks", "--timestamps")).trim().split("\n")) {
    expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (line \d|trouble)$/);
  }
  expect(await outcome("logs", "talks", "--previous")).toMatchObject({
    code: 1,
    said: expect.stringContaining("previous terminated container") as string,
  });

  // Followed: what comes later is shown as it comes, and the end of the container is the end.
  await runPod("later", "echo first; while ! test -e /tmp/go; do sleep 0.1; done; echo last", "--restart", "Never");
  await kubectl("wait", "--for=condition=Ready", "pod/later", "--timeout=80s");
  await using follower = background(["kubectl", "logs", "--follow", "later"], cluster.environment);
  await until("the follower has the first line", async () => follower.output() === "first\n");
  await kubectl("exec", "later", "--", "touch", "/tmp/go");
  await until("the follower has the last line", async () => follower.output() === "first\nlast\n");
  await until("the follower has ended", async () => (await run(["pgrep", "-f", "logs --follow later"], { okCodes: [0, 1] })).stdout === "");
  await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/later", "--timeout=60s");
  expect(await kubectl("logs", "later")).toBe("first\nlast\n");
  // Also once nothing of it is there but its object: no sandbox, no interface.
  const keptLogs = join(instance.dataDir, "kept-logs");
  await until("its interface is taken away, and its log is kept", async () => (await readdir(keptLogs).catch(() => [])).length > 0);
  expect(await kubectl("logs", "later")).toBe("first\nlast\n");

  // Restarted: each instance has a log of its own.
  await runPod("again", "trap 'exit 1' TERM; date +%s; echo instance; sleep 600 & wait");
  await until("its first instance has said all", async () => (await outcome("logs", "again")).said.endsWith("instance\n"));
  // Its end may cut the command off.
  await outcome("exec", "again", "--", "kill", "-TERM", "1");
  await until("it runs for the second time", async () => (await pod("again")).status.containerStatuses[0]?.restartCount === 1);
  const [before, now] = await until("both have a log", async () => {
    const logs = await Promise.all([kubectl("logs", "again", "--previous"), kubectl("logs", "again")]);
    return logs.every((log) => log.endsWith("instance\n")) && logs[0] !== logs[1] && logs;
  });
  expect(Number(before.split("\n")[0])).toBeLessThan(Number(now.split("\n")[0]));
  await kubectl("delete", "pod", "talks", "later", "again", "--now", "--wait=false");
});

test("exec, attach, cp and port-forward reach into the container", { timeout: 4 * 60_000 }, async () => {
  expect(await kubectl("exec", "web", "--", "hostname")).toBe("web\n");
  expect(await withInput("into the pod", "exec", "-i", "web", "--", "cat")).toBe("into the pod");
  // An older kubectl may tell of the API server's empty first message, which can come before it has made its streams.
  expect(await outcome("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
    code: 7,
    said: expect.stringMatching(/^out\n(E.* Unknown stream id 1, discarding message\n)?err\n/) as string,
  });
  expect(await outcome("exec", "web", "--", "no-such-program")).toMatchObject({
    code: 1,
    said: expect.stringContaining("no-such-program") as string,
  });
  // A terminal of the client's size, and of its next one. `script` may show the end of its own input, and kubectl what is said above.
  const sees = (size: string): string => `until stty size 2>/dev/null | grep -x "${size}"; do sleep 0.1; done`;
  const seen = `/tmp/seen-${randomUUID()}`;
  const looks = `'tty; ${sees("33 101")}; touch ${seen}; ${sees("44 120")}'`;
  expect(await onTerminal({ resizedBy: seen }, "exec", "-it", "web", "--", "sh", "-c", looks)).toMatch(
    /\/dev\/pts\/\d+\r\n[\s\S]*33 101\r\n[\s\S]*44 120\r\n/,
  );

  // `run -i` attaches; its input ends the program's.
  expect(
    await withInput("by attach\n", "run", "reads", "--image", cluster.stack.image, "--restart", "Never", "-i", "--quiet", "--rm", "--", "cat"),
  ).toContain("by attach");
  await runPod("speaks", "while :; do echo tick; sleep 0.2; done", "--restart", "Never");
  await kubectl("wait", "--for=condition=Ready", "pod/speaks", "--timeout=80s");
  {
    await using attached = background(["kubectl", "attach", "speaks"], cluster.environment);
    await until("what it says is heard", async () => attached.output().includes("tick\ntick\n"));
  }
  await kubectl("delete", "pod", "speaks", "--now", "--wait=false");

  const [there, back] = [join(instance.dataDir, "there"), join(instance.dataDir, "back")];
  await writeFile(there, "x".repeat(3_000_000));
  await kubectl("cp", there, "web:/tmp/copied");
  await kubectl("cp", "web:/tmp/copied", back);
  expect((await readFile(back, "utf8")) === "x".repeat(3_000_000)).toBe(true);

  await using forward = background(["kubectl", "port-forward", "web", ":8080"], cluster.environment);
  const port = await until("the port is forwarded", async () => /127\.0\.0\.1:(\d+) ->/.exec(forward.output())?.[1]);
  for (let request = 0; request < 3; request++) expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("web\n");
});

test("debug adds a container that sees the other's processes", { timeout: 3 * 60_000 }, async () => {
  const command = ["sh", "-c", "ps; echo looked; sleep 600"];
  await kubectl("debug", "web", "--image", cluster.stack.image, "--container", "looks", "--target", "web", "--attach=false", "--", ...command);
  const seen = await until("it has looked", async () => {
    const { code, said } = await outcome("logs", "web", "--container", "looks");
    return code === 0 && said.includes("looked") && said;
  });
  expect(seen).toContain("httpd -f -p 8080");
  const { status } = await until("the status shows it", async () => {
    const found = await pod("web");
    return found.status.ephemeralContainerStatuses?.[0]?.state["running"] !== undefined && found;
  });
  expect(status.ephemeralContainerStatuses).toMatchObject([{ name: "looks", state: { running: {} } }]);
  expect(status).toMatchObject({ phase: "Running", containerStatuses: [{ restartCount: 0, state: { running: {} } }] });
  expect(await kubectl("exec", "web", "--container", "looks", "--", "echo", "in it")).toBe("in it\n");
});

test("figures of a node, under the kubelet's names", async () => {
  const { nodeName } = (await pod("web")).spec;
  const ask = (path: string): Promise<string> => kubectl("get", "--raw", `/api/v1/nodes/${nodeName}/proxy/${path}`);
  const metrics = await ask("metrics/resource");
  expect(metrics).toMatch(/^container_cpu_usage_seconds_total\{container="web",namespace="default",pod="web"\} [\d.e-]+ \d{13}$/m);
  expect(metrics).toMatch(/^node_memory_working_set_bytes [1-9]\d+ \d{13}$/m);
  expect(metrics).toMatch(/^resource_scrape_error 0$/m);
  const { node, pods } = JSON.parse(await ask("stats/summary")) as {
    node: { nodeName: string; memory: { workingSetBytes: number } };
    pods: readonly { podRef: { name: string }; containers: readonly { name: string }[] }[];
  };
  expect(node.nodeName).toBe(nodeName);
  expect(node.memory.workingSetBytes).toBeGreaterThan(10_000);
  expect(pods).toMatchObject([
    {
      podRef: { name: "web", namespace: "default" },
      containers: expect.arrayContaining([{ name: "web" }].map((each) => expect.objectContaining(each) as object)) as unknown[],
    },
  ]);
  expect(await ask("healthz")).toBe("ok");
  expect(await kubectl("get", "node", nodeName, "--no-headers", "--output", "wide")).toContain(` ${(await pod("web")).status.podIP} `);
});

test(
  "metrics-server, as an add-on, gives kubectl top the kubelets' figures, and an autoscaler the reason to scale up",
  { timeout: 8 * 60_000 },
  async () => {
    const offered = await instance.aws(
      "eks",
      "describe-addon-versions",
      "--addon-name",
      "metrics-server",
      "--query",
      "addons[].[owner,defaultNamespace]",
    );
    expect(offered).toEqual([["community", "kube-system"]]);
    await until(
      "the add-on is ACTIVE",
      async () => {
        const which = { clusterName: "shop", addonName: "metrics-server" };
        return (await cluster.stack.eks.send(new DescribeAddonCommand(which))).addon?.status === "ACTIVE";
      },
      240_000,
    );
    const available = "jsonpath={.status.conditions[?(@.type=='Available')].status}";
    // The API server looks at it in its own time.
    await until("its API is available", async () => {
      return (await kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "--output", available)) === "True";
    });
    const [, cpu] = await until(
      "top knows the pod that is under load",
      async () => /^burns-\S+ +([1-9]\d*)m +\d+Mi/m.exec((await outcome("top", "pods")).said) ?? undefined,
      180_000,
    );
    // Its limit, and what a shell and a web server may have.
    expect(Number(cpu)).toBeLessThan(160);
    // It looks at each node in its own time.
    const memory = await until("the figures know the other pod", async () => {
      const { said } = await outcome("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web");
      return /"memory":"(\d+)Ki"/.exec(said)?.[1];
    });
    expect(Number(memory)).toBeGreaterThan(50);
    expect(Number(memory)).toBeLessThan(20_000);
    const { nodeName } = (await pod("web")).spec;
    await until("top knows the node", async () => new RegExp(`^${nodeName} +\\d+m .*Mi`, "m").test((await outcome("top", "nodes")).said), 120_000);
    await until("the autoscaler has scaled up", async () => (await replicasOfBurns()) === "2", 240_000);
    await kubectl("delete", "pod", "load", "--now", "--wait=false");
  },
);

test(
  "nobody else comes in: without a certificate, by one of another's, by a token; and from the host not at all",
  { timeout: 3 * 60_000 },
  async () => {
    const { podIP } = (await pod("web")).status;
    const base = `https://${podIP}:10250`;
    await runPod("asks", "exec sleep 4242", "--restart", "Never");
    await kubectl("wait", "--for=condition=Ready", "pod/asks", "--timeout=80s");
    const netns = await namespaceOf("sleep\u00004242\u0000");
    const ca = join(instance.dataDir, "ca.crt");
    await writeFile(
      ca,
      Buffer.from(
        (await cluster.kubectl("config", "view", "--raw", "--output", "jsonpath={.clusters[0].cluster.certificate-authority-data}")).trim(),
        "base64",
      ),
    );
    const ask = async (path: string, ...flags: readonly string[]): Promise<string> =>
      (
        await run(
          ["nsenter", `--net=${netns}`, "curl", "-s", "--max-time", "20", "--cacert", ca, "-w", " %{http_code}", ...flags, `${base}${path}`],
          { okCodes: [0, 7, 28, 35, 60] },
        )
      ).stdout;
    const exec = "/exec/default/web/web?command=id&output=1";

    // The node shows a certificate of the cluster's authority for its own address.
    expect(await ask("/healthz")).toBe("Unauthorized 401");
    expect(await ask("/containerLogs/default/web/web")).toBe("Unauthorized 401");
    expect(await ask(exec, "-X", "POST")).toBe("Unauthorized 401");

    // A certificate of the same authority, for somebody else, even one with all rights in the cluster.
    const [key, request, certificate] = ["eve.key", "eve.csr", "eve.crt"].map((name) => join(instance.dataDir, name)) as [string, string, string];
    await run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=eve"]);
    const signing = {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "eve" },
      spec: { request: (await readFile(request)).toString("base64"), signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"] },
    };
    await withInput(JSON.stringify(signing), "apply", "-f", "-");
    await kubectl("certificate", "approve", "eve");
    const signed = await until("it is signed", () => kubectl("get", "csr", "eve", "--output", "jsonpath={.status.certificate}"));
    await writeFile(certificate, Buffer.from(signed, "base64"));
    expect(await ask("/containerLogs/default/web/web", "--cert", certificate, "--key", key)).toBe("Unauthorized 401");

    // A service account's token opens figures once RBAC says so, and never a container.
    await kubectl("create", "serviceaccount", "looks");
    const bearer = ["-H", `Authorization: Bearer ${(await kubectl("create", "token", "looks")).trim()}`];
    expect(await ask("/stats/summary", ...bearer)).toMatch(/^Forbidden .* 403$/);
    await kubectl("create", "clusterrole", "looks", "--verb=get", "--resource=nodes/metrics,nodes/proxy");
    await kubectl("create", "clusterrolebinding", "looks", "--clusterrole=looks", "--serviceaccount=default:looks");
    // The API server takes its time to go by what was written; a node remembers what it was told.
    const can = ["auth", "can-i", "get", "nodes", "--subresource=metrics", "--as", "system:serviceaccount:default:looks"];
    await until("they may look", async () => (await outcome(...can)).code === 0);
    expect(await ask("/metrics/resource", ...bearer)).toMatch(/scrape_error 0\n 200$/);
    expect(await ask(exec, "-X", "POST", ...bearer)).toMatch(/^Forbidden .* 403$/);
    expect(await ask("/metrics/resource", "-H", "Authorization: Bearer forged")).toBe("Unauthorized 401");

    // Another pod's name at this node.
    expect(await ask("/metrics/resource", "-H", "Authorization: Basic eA==")).toBe("Unauthorized 401");
    const fromHost = await run(["curl", "-sk", "--max-time", "5", `${base}/healthz`], { okCodes: [0, 7, 28, 35] });
    expect(fromHost.code).not.toBe(0);
    await kubectl("delete", "pod", "asks", "--now", "--wait=false");
  },
);

test("without the load the autoscaler scales down again; the add-on goes with all it had", { timeout: 6 * 60_000 }, async () => {
  await until("the autoscaler has scaled down", async () => (await replicasOfBurns()) === "1", 300_000);
  await kubectl("delete", "hpa,deployment,service", "burns", "--wait=false");
  await instance.aws("eks", "delete-addon", ...METRICS_SERVER);
  await instance.client(["aws", "eks", "wait", "addon-deleted", ...METRICS_SERVER]);
  expect(await outcome("get", "apiservice", "v1beta1.metrics.k8s.io")).toMatchObject({
    code: 1,
    said: expect.stringContaining("NotFound") as string,
  });
});

test("after kill -9 of Tidegate pods go on, and all of it works again", { timeout: 3 * 60_000 }, async () => {
  const before = await kubectl("exec", "web", "-c", "web", "--", "sh", "-c", "echo kept > /tmp/kept; cat /proc/1/stat");
  await instance.kill();
  expect(await outcome("exec", "web", "-c", "web", "--", "true")).toMatchObject({ code: 1 });
  await instance.up();
  expect(await until("exec works again", async () => (await outcome("exec", "web", "-c", "web", "--", "cat", "/tmp/kept")).said === "kept\n")).toBe(
    true,
  );
  expect((await kubectl("exec", "web", "-c", "web", "--", "cat", "/proc/1/stat")).split(" ")[21]).toBe(before.split(" ")[21]);
  expect(await kubectl("logs", "web", "--container", "web")).toBe("serving\n");
  expect(await kubectl("logs", "web", "--container", "looks")).toContain("looked");
  await kubectl("delete", "pods", "--all", "--now");
  await until("no log and no node is left", async () => {
    const left = await readdir(join(instance.dataDir, "kept-logs")).catch(() => []);
    return left.length === 0 && (await cluster.get<{ readonly items: readonly unknown[] }>("nodes")).items.length === 0;
  });
});

/** The network namespace of the pod of this instance that runs this command. */
async function namespaceOf(command: string): Promise<string> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [found, cgroup] = await Promise.all([read("cmdline"), read("cgroup")]);
    if (
      found === command &&
      cgroup.includes(instance.instanceId) &&
      (await readlink(`/proc/${pid}/ns/net`)) !== (await readlink("/proc/self/ns/net"))
    ) {
      return `/proc/${pid}/ns/net`;
    }
  }
  throw new Error(`no process of the instance runs ${command}`);
}
