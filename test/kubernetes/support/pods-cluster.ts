/** A cluster whose pods run on Fargate, by the real aws and kubectl, for the tests of one file. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { CoreV1Event, V1Container, V1Pod, V1PodSpec } from "@kubernetes/client-node";
import { run } from "../../../src/host/run.ts";
import { startInstance, type TestInstance, until } from "../../support/instance.ts";
import { createCluster, type TestCluster } from "./cluster.ts";

export interface PodsCluster extends TestCluster {
  readonly instance: TestInstance;
  readonly pod: (name: string) => Promise<V1Pod>;
  /** Waits until something holds of the pod. */
  readonly podUntil: (name: string, what: string, holds: (pod: V1Pod) => boolean, timeoutMs?: number) => Promise<V1Pod>;
  /** `reason message` of each event about an object of this name. */
  readonly events: (name: string) => Promise<readonly string[]>;
  /** Runs a command in a pod's first container, from the host, beneath Kubernetes. */
  readonly inPod: (name: string, ...command: readonly string[]) => Promise<string>;
  /** The same, of a pod that is looked for once: also while nobody tells the API server who asks. */
  readonly entered: (name: string) => Promise<(...command: readonly string[]) => Promise<string>>;
  /** A pod of one container, `app`, that sleeps unless told otherwise; killed a second after it is asked to end. */
  readonly podOf: (name: string, container: Partial<V1Container>, spec?: Partial<V1PodSpec>, labels?: Readonly<Record<string, string>>) => V1Pod;
  /** The first process of a pod's first container, and the one that holds the pod's sandbox. */
  readonly pidsOf: (name: string) => Promise<{ readonly container: string; readonly sandbox: string }>;
}

/** Makes an instance, the cluster `shop`, without CoreDNS unless asked for, and a Fargate profile for the namespace `default`. To be removed by `removeWithoutTrace`. */
export async function startPodsCluster(options: { readonly coredns?: boolean } = {}): Promise<PodsCluster> {
  const instance = await startInstance();
  const cluster = await createCluster(instance, options);
  await cluster.profile({ namespace: "default" });
  const { kubectl, stack } = cluster;
  const pod: PodsCluster["pod"] = (name) => cluster.get<V1Pod>("pod", name);
  const containerPid = async (name: string): Promise<string> => {
    const { metadata, spec } = await pod(name);
    return pidOf(instance, { podUid: metadata?.uid ?? "", container: spec?.containers[0]?.name ?? "" });
  };
  const entered: PodsCluster["entered"] = async (name) => {
    const pid = await containerPid(name);
    return async (...command) => (await run(["nsenter", "--target", pid, "--all", ...command])).stdout;
  };
  return {
    ...cluster,
    instance,
    pod,
    podUntil: (name, what, holds, timeoutMs) =>
      until(
        `the pod ${name} ${what}`,
        async () => {
          const found = await pod(name);
          return holds(found) && found;
        },
        timeoutMs,
      ),
    async events(name) {
      const found = await kubectl("get", "events", "--field-selector", `involvedObject.name=${name}`, "--output", "json");
      return (JSON.parse(found) as { readonly items: readonly CoreV1Event[] }).items.map(({ reason, message }) => `${reason} ${message}`);
    },
    inPod: async (name, ...command) => (await entered(name))(...command),
    entered,
    podOf: (name, container, spec = {}, labels = {}) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { ...labels } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "app", image: stack.image, command: ["sleep", "3600"], ...container }],
        ...spec,
      },
    }),
    async pidsOf(name) {
      const container = await containerPid(name);
      const network = await readlink(`/proc/${container}/ns/net`);
      for (const sandbox of (await readdir("/proc")).filter((each) => /^\d+$/.test(each))) {
        const [command, its] = await Promise.all([
          readFile(`/proc/${sandbox}/cmdline`, "utf8").catch(() => ""),
          readlink(`/proc/${sandbox}/ns/net`).catch(() => ""),
        ]);
        if (its === network && command.startsWith("/catatonit")) return { container, sandbox };
      }
      throw new Error(`no process holds the sandbox of the pod ${name}`);
    },
  };
}

export const isReady = ({ status }: V1Pod): boolean => status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;

/** Of a container's first process, by containerd. */
async function pidOf({ runDir }: TestInstance, { podUid, container }: { readonly podUid: string; readonly container: string }): Promise<string> {
  const ctr = ["ctr", "--address", join(runDir, "containerd.sock"), "--namespace", "k8s.io"];
  const filter = `labels."tidegate.workload"~="^${podUid.replaceAll("-", "")}",labels."tidegate.container"==${container}`;
  const ids = (await run([...ctr, "containers", "ls", "--quiet", filter])).stdout.split("\n").filter((id) => id !== "");
  const tasks = (await run([...ctr, "tasks", "ls"])).stdout;
  for (const id of ids) {
    const found = new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, "m").exec(tasks)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`container ${container} of pod ${podUid} does not run:\n${tasks}`);
}
