import { readdir, readFile, rm } from "node:fs/promises";
import type { V1Pod } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { until } from "../support/instance.ts";
import { ecrLogin, pushTiny } from "../support/stack.ts";
import { untilStateAgrees } from "../support/state/instance-state.ts";
import { type PrivateRegistry, startPrivateRegistry } from "./support/private-registry.ts";
import { isReady, type PodsCluster, startPodsCluster } from "./support/pods-cluster.ts";

/** How pods come, fail and end is told as the kubelet tells it, and goes on without Tidegate; by the real kubectl, on a cluster for all of it. */

let cluster: PodsCluster;
let elsewhere: PrivateRegistry;
beforeAll(async () => {
  elsewhere = await startPrivateRegistry();
  cluster = await startPodsCluster();
}, 45 * 60_000);
afterAll(async () => {
  await removeWithoutTrace(cluster.instance);
  await elsewhere[Symbol.asyncDispose]();
});

const podOf: PodsCluster["podOf"] = (...parts) => cluster.podOf(...parts);

const app = ({ status }: V1Pod) => status?.containerStatuses?.[0];

test("images, probes, hooks and ends are told as the kubelet tells them", { timeout: 240_000 }, async () => {
  const { apply, kubectl, podUntil, events, stack } = cluster;
  const never = { restartPolicy: "Never" } as const;
  const missing = stack.image.replace(/:1$/, ":later");
  const fails = ["sh", "-c", "echo from the log; test -e /x/once && exit 3; echo last words > /dev/termination-log; touch /x/once; exit 42"];
  const rules = [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }];
  const liveness = {
    exec: { command: ["test", "-e", "/tmp/well"] },
    periodSeconds: 1,
    failureThreshold: 1,
    initialDelaySeconds: 2,
    terminationGracePeriodSeconds: 1,
  };
  await apply(
    podOf("unpulled", { image: missing }, never),
    podOf("absent", { image: missing, imagePullPolicy: "Never" }, never),
    podOf("root", {}, { ...never, securityContext: { runAsNonRoot: true } }),
    podOf(
      "rules",
      {
        command: fails,
        restartPolicy: "Never",
        restartPolicyRules: rules,
        terminationMessagePolicy: "FallbackToLogsOnError",
        volumeMounts: [{ name: "x", mountPath: "/x" }],
      },
      { ...never, volumes: [{ name: "x", emptyDir: {} }] },
    ),
    podOf("sick", { livenessProbe: liveness, lifecycle: { preStop: { sleep: { seconds: 1 } } } }),
    podOf("stubborn", { command: ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"] }, { terminationGracePeriodSeconds: 300 }),
  );
  await podUntil("unpulled", "waits for its image", (pod) => app(pod)?.state?.waiting?.reason === "ImagePullBackOff");
  await podUntil("absent", "may not pull", (pod) => app(pod)?.state?.waiting?.reason === "ErrImageNeverPull");
  const root = await podUntil("root", "may not be root", (pod) => app(pod)?.state?.waiting?.reason === "CreateContainerConfigError");
  expect(app(root)?.state?.waiting?.message).toContain("container has runAsNonRoot and image will run as root");
  // Once more by its rule, then no more by its policy; without last words of its own the end of its log.
  const ended = await podUntil("rules", "has ended", ({ status }) => status?.phase === "Failed");
  expect(app(ended)).toMatchObject({
    restartCount: 1,
    state: { terminated: { exitCode: 3, reason: "Error", message: "from the log\n" } },
    // It was followed at once by the next.
    lastState: { terminated: { exitCode: 42, reason: "Error", message: "last words\n" } },
  });
  await podUntil("sick", "is restarted", (pod) => (app(pod)?.restartCount ?? 0) > 0);
  // Events come after the status that they are of.
  const told = await until("why sick is restarted is told", async () => {
    const found = await events("sick");
    return found.includes("Killing Container app failed liveness probe, will be restarted") && found;
  });
  expect(told.some((line) => line.startsWith("Unhealthy Liveness probe failed: "))).toBe(true);
  // The image comes; nothing that ran was restarted.
  await pushTiny(missing, await ecrLogin(stack.ecr));
  expect(app(await podUntil("unpulled", "runs", (pod) => app(pod)?.state?.running !== undefined, 90_000))?.restartCount).toBe(0);
  // Less time to end than it was given at first.
  await podUntil("stubborn", "runs", isReady);
  await kubectl("delete", "pod", "stubborn", "--wait=false");
  // By then its first deletion, with its own grace of five minutes, has come to it.
  await until("stubborn is told to end", async () => (await events("stubborn")).includes("Killing Stopping container app"));
  await kubectl("delete", "pod", "stubborn", "--grace-period=1", "--timeout=60s");
  await kubectl("delete", "pods", "--all", "--grace-period=1", "--timeout=80s");
});

test("images of a private registry are had by the logins of imagePullSecrets, and by nobody else", { timeout: 300_000 }, async () => {
  const { apply, kubectl, podUntil, events } = cluster;
  const image = `${elsewhere.host}/team/app:1`;
  await pushTiny(image, elsewhere.login);
  const [username = "", password = ""] = elsewhere.login.split(":");
  const secret = (name: string, ...login: readonly string[]): Promise<string> =>
    kubectl("create", "secret", "docker-registry", name, `--docker-server=https://${elsewhere.host}`, ...login);
  await secret("wrong", `--docker-username=${username}`, "--docker-password=guessed");
  await secret("right", `--docker-username=${username}`, `--docker-password=${password}`);
  const by = (...names: readonly string[]) => ({ imagePullSecrets: names.map((name) => ({ name })) });
  await apply(podOf("member", { image }, by("wrong", "right")), podOf("guesser", { image }, by("wrong", "missing")));
  const failed = ({ status }: V1Pod): boolean =>
    /^(ErrImagePull|ImagePullBackOff)$/.test(status?.containerStatuses?.[0]?.state?.waiting?.reason ?? "");
  const guesser = await podUntil("guesser", "is refused", failed);
  expect(app(guesser)?.state?.waiting?.message).toContain("there is no such image for ann");
  expect(await events("guesser")).toContain(
    "FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (missing); attempting to pull the image may not succeed.",
  );
  const member = await podUntil("member", "runs", isReady, 90_000);
  // It is on the host now, and still only theirs who have the login.
  const pinned = `${elsewhere.host}/team/app@${app(member)?.imageID?.split("@")[1]}`;
  const imagePullPolicy = "IfNotPresent";
  await apply(podOf("stranger", { image, imagePullPolicy }), podOf("knower", { image: pinned, imagePullPolicy }));
  for (const name of ["stranger", "knower"]) await podUntil(name, "is refused", failed);
  await kubectl("delete", "pods", "--all", "--grace-period=1", "--timeout=80s");
});

test("pods go on while Tidegate is killed and away, and are taken up as they were", { timeout: 300_000 }, async () => {
  const { apply, kubectl, podUntil, pidsOf, pod, instance, events } = cluster;
  const serve = ["sh", "-c", "hostname > /www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"];
  const probes = {
    // On a busy machine a second is not much to answer in.
    readinessProbe: { httpGet: { port: 8080, path: "/" }, periodSeconds: 1, timeoutSeconds: 10 },
    livenessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 10 },
  };
  const names = ["steady", "crashed", "deleted", "lost"];
  await apply(
    ...names.map((name) =>
      podOf(
        name,
        { command: serve, ...probes, volumeMounts: [{ name: "c", mountPath: "/c", subPath: "k" }] },
        { volumes: [{ name: "c", configMap: { name: "kept" } }] },
      ),
    ),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "kept" },
      data: { k: "v" },
    },
  );
  for (const name of names) await podUntil(name, "is ready", isReady);
  const before = await pod("steady");
  const steady = await pidsOf("steady");
  const [crashed, lost] = [await pidsOf("crashed"), await pidsOf("lost")];
  // Who asks while Tidegate is away: the API server knows its own tokens by itself.
  await kubectl("create", "clusterrolebinding", "robot", "--clusterrole=cluster-admin", "--serviceaccount=default:default");
  const token = `--token=${(await kubectl("create", "token", "default")).trim()}`;
  const nodes = async (...flags: readonly string[]): Promise<readonly string[]> =>
    (await kubectl("get", "nodes", "--no-headers", ...flags)).match(/ Ready /g) ?? [];
  // A node goes after its pod: those of the tests before may still be there.
  await until("these pods' nodes alone are there", async () => (await nodes()).length === names.length);
  await instance.kill();
  // Nobody but Tidegate gives up a node: a day without a word from it is not too long for the control plane.
  const manager = (await processes()).find(
    ({ command, cgroup }) => command.startsWith("kube-controller-manager") && cgroup.includes(instance.instanceId),
  );
  expect(manager?.command).toContain("--node-monitor-grace-period=24h");
  process.kill(Number(crashed.container), "SIGKILL");
  process.kill(Number(lost.sandbox), "SIGKILL");
  await kubectl("delete", "pod", "deleted", "--wait=false", token);
  expect(await nodes(token)).toHaveLength(names.length);
  await instance.up();
  await until("the pod that was deleted meanwhile is gone", async () => !(await kubectl("get", "pods", "--output", "name")).includes("pod/deleted"));
  const restarted = await podUntil("crashed", "runs again", (found) => app(found)?.restartCount === 1 && isReady(found));
  expect(app(restarted)?.lastState?.terminated?.exitCode).toBe(137);
  const replaced = await podUntil("lost", "runs again", (found) => app(found)?.restartCount === 1 && isReady(found), 90_000);
  // containerd ends what is left of a sandbox as a stop does, and this program heeds that.
  expect(app(replaced)?.lastState?.terminated).toMatchObject({ exitCode: expect.any(Number), finishedAt: expect.any(String) });
  // Nothing of why it was not ready is left.
  for (const { type, status, reason, message } of replaced.status?.conditions ?? [])
    expect({ type, status, reason, message }).toEqual({ type, status: "True" });
  expect(await events("lost")).toContain("SandboxChanged Pod sandbox changed, it will be killed and re-created.");
  // What nothing befell is as it was: process, status, node.
  await podUntil("steady", "is ready", isReady);
  const after = await pod("steady");
  expect(after.status?.containerStatuses).toEqual(before.status?.containerStatuses);
  // Not for a moment was it unready.
  expect(after.status?.conditions).toEqual(before.status?.conditions);
  expect(after.spec?.nodeName).toBe(before.spec?.nodeName);
  expect(await pidsOf("steady")).toEqual(steady);
  await kubectl("delete", "pods", "--all", "--timeout=80s");
  await until("their nodes are gone", async () => (await kubectl("get", "nodes", "--output", "name")) === "");
  // The client's own, in the instance's folder.
  await rm(cluster.clientFolder, { recursive: true });
  await untilStateAgrees(instance);
});

async function processes(): Promise<readonly { readonly command: string; readonly cgroup: string }[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const read = (pid: string, file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  return Promise.all(pids.map(async (pid) => ({ command: (await read(pid, "cmdline")).replaceAll("\0", " "), cgroup: await read(pid, "cgroup") })));
}
