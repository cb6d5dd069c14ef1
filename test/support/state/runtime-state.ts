/** What containerd, the kernel's cgroups, mounts and processes have of an instance's tasks, beside what the store says. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../../../src/contracts/store.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { containerdPaths } from "../../../src/engines/cri/containerd-config.ts";
import { hierarchies } from "../../../src/engines/cri/cgroup.ts";
import { ContainerdClient } from "../../../src/engines/cri/grpc.ts";
import { LABELS, PLACEMENTS, STATUSES } from "../../../src/fargate/records.ts";
import { run } from "../../../src/host/run.ts";
import type { Expected } from "./lines.ts";

/** How many ready sandboxes an instance keeps that no task has yet. */
const WARM = 3;

export interface RuntimeFacts {
  /** As CRI lists them. */
  readonly sandboxes: readonly { readonly id: string; readonly name: string; readonly ready: boolean }[];
  readonly containers: readonly {
    readonly id: string;
    readonly sandboxId: string;
    readonly name: string;
    readonly attempt: number;
    readonly running: boolean;
    readonly workload: string;
  }[];
  /** Ids as containerd itself has them, beneath CRI. */
  readonly containerd: { readonly containers: readonly string[]; readonly tasks: readonly string[]; readonly snapshots: readonly string[] };
  readonly leases: readonly string[];
  /** Ids that shims were started for. */
  readonly shims: readonly string[];
  /** Mount points under the instance's folders. */
  readonly mounts: readonly string[];
  /** Names of the network namespaces that containerd holds. */
  readonly namespaces: readonly string[];
  /** By sandbox id, where it is known: the name of its network namespace. */
  readonly namespaceOf: ReadonlyMap<string, string>;
  /** Folders below the instance's own, in any hierarchy: `<sandbox>`, `<sandbox>/<id>`. */
  readonly cgroups: readonly string[];
  /** What the OCI runtime keeps of each container. */
  readonly runc: readonly string[];
}

/** What the tasks of the store need to have; `warm` are the names of the sandboxes that belong to none yet. Pure but for the store. */
export async function expectedRuntime(store: Store, warm: readonly string[]): Promise<Expected> {
  const [statuses, placements] = await Promise.all([store.list(STATUSES), store.list(PLACEMENTS)]);
  const active = new Map(statuses.filter(({ value }) => value.state !== "STOPPED").map(({ key, value }) => [key, value]));
  const must = [`warm sandboxes: ${WARM}`, ...warm.flatMap(sandboxLines)];
  for (const [id, status] of active) {
    if (status.state !== "RUNNING") must.push(`workload ${id} is RUNNING or STOPPED`);
    const sandbox = placements.find(({ key }) => key === id)?.value.sandboxName ?? `of workload ${id}`;
    must.push(...sandboxLines(sandbox));
    for (const container of status.containers.filter(({ state }) => state === "RUNNING")) {
      must.push(...containerLines(`${sandbox}/${container.name}/${container.restartCount}`, id));
    }
  }
  for (const { key } of placements) if (!active.has(key)) must.push(`a workload of placement ${key}`);
  return { must };
}

function sandboxLines(name: string): readonly string[] {
  return [`sandbox ${name}, ready`, `shim of ${name}`, `namespace of ${name}`, `mount of ${name}: shm`, `cgroup ${name}`, ...processLines(name)];
}

function containerLines(label: string, workload: string): readonly string[] {
  return [`container ${label} of workload ${workload}`, ...processLines(label)];
}

/** What a pause process and any other container have alike. */
function processLines(label: string): readonly string[] {
  return [
    `containerd's container ${label}`,
    `containerd's task ${label}`,
    `snapshot of ${label}`,
    `mount of ${label}: rootfs`,
    `cgroup of ${label}`,
    `runc's ${label}`,
  ];
}

/** The facts in the words of `expectedRuntime`; what CRI does not know has its bare id. Pure. */
export function observedRuntime(facts: RuntimeFacts, warm: readonly string[]): readonly string[] {
  const names = new Map(facts.sandboxes.map(({ id, name }) => [id, name]));
  const latest = new Map<string, number>();
  for (const { sandboxId, name, attempt } of facts.containers)
    latest.set(`${sandboxId}/${name}`, Math.max(attempt, latest.get(`${sandboxId}/${name}`) ?? 0));
  // The attempt before the current one is kept for its words.
  const earlier = new Set(
    facts.containers.filter((each) => !each.running && each.attempt < (latest.get(`${each.sandboxId}/${each.name}`) ?? 0)).map(({ id }) => id),
  );
  const labels = new Map([
    ...names,
    ...facts.containers.map((each) => [each.id, `${names.get(each.sandboxId) ?? each.sandboxId}/${each.name}/${each.attempt}`] as const),
  ]);
  const label = (id: string): string => labels.get(id) ?? id;
  const current = (ids: readonly string[]): readonly string[] => ids.filter((id) => !earlier.has(id));
  const namespaces = new Map([...facts.namespaceOf].map(([id, namespace]) => [namespace, label(id)]));
  return [
    `warm sandboxes: ${warm.length}`,
    ...facts.sandboxes.map(({ name, ready }) => `sandbox ${name}, ${ready ? "ready" : "dead"}`),
    ...facts.containers
      .filter(({ id }) => !earlier.has(id))
      .map((each) => `container ${label(each.id)}${each.running ? "" : ", dead,"} of workload ${each.workload}`),
    ...current(facts.containerd.containers).map((id) => `containerd's container ${label(id)}`),
    ...current(facts.containerd.tasks).map((id) => `containerd's task ${label(id)}`),
    ...current(facts.containerd.snapshots).map((id) => `snapshot of ${label(id)}`),
    ...facts.leases.map((id) => `lease ${id}`),
    ...facts.shims.map((id) => `shim of ${label(id)}`),
    ...facts.namespaces.map((namespace) => `namespace of ${namespaces.get(namespace) ?? namespace}`),
    ...facts.mounts.flatMap((point) => mountLine(point, label)),
    ...facts.cgroups.map((path) => (path.includes("/") ? `cgroup of ${label(path.slice(path.indexOf("/") + 1))}` : `cgroup ${path}`)),
    ...facts.runc.map((id) => `runc's ${label(id)}`),
  ];
}

function mountLine(point: string, label: (id: string) => string): readonly string[] {
  const [, id = "", what = ""] = /\/([0-9a-f]{64})\/(rootfs|shm)$/.exec(point) ?? [];
  if (id !== "") return [`mount of ${label(id)}: ${what}`];
  // Namespaces are looked at by their names.
  return /\/netns\/[^/]+$/.test(point) ? [] : [`mount ${point}`];
}

/** Those that are ready, are the pool's, and are named by no placement. */
export async function warmSandboxes(store: Store, facts: RuntimeFacts): Promise<readonly string[]> {
  const placed = new Set((await store.list(PLACEMENTS)).map(({ value }) => value.sandboxName));
  return facts.sandboxes.filter(({ name, ready }) => ready && !placed.has(name)).map(({ name }) => name);
}

interface InstanceFolders {
  readonly instanceId: string;
  readonly dataDir: string;
  readonly runDir: string;
}

export async function lookAtRuntime(instance: InstanceFolders): Promise<RuntimeFacts> {
  const paths = containerdPaths(instance);
  const client = new ContainerdClient(paths.socket, systemClock);
  try {
    const [{ items }, { containers }, ids, tasks, snapshots, leases] = await Promise.all([
      client.listPodSandbox({}),
      client.listContainers({}),
      ctr(paths.socket, "containers", "list", "--quiet"),
      ctr(paths.socket, "tasks", "list", "--quiet"),
      ctr(paths.socket, "snapshots", "--snapshotter", "overlayfs", "list"),
      ctr(paths.socket, "leases", "list", "--quiet"),
    ]);
    const namespaces = items.map(async ({ id }) => [id, await namespaceOf(client, id)] as const);
    return {
      sandboxes: items.map((item) => ({ id: item.id, name: item.metadata?.name ?? "", ready: item.state === "SANDBOX_READY" })),
      containers: containers.map((item) => ({
        id: item.id,
        sandboxId: item.podSandboxId,
        name: item.metadata?.name ?? "",
        attempt: item.metadata?.attempt ?? 0,
        running: item.state === "CONTAINER_RUNNING",
        workload: item.labels[LABELS.workload] ?? "",
      })),
      containerd: {
        containers: ids,
        tasks,
        snapshots: snapshots.filter((line) => /\bActive\s*$/.test(line)).map((line) => line.split(/\s/)[0] ?? ""),
      },
      leases,
      shims: await shims(paths.socket),
      mounts: await mountsUnder([instance.dataDir, instance.runDir]),
      namespaces: await namesIn(join(paths.state, "io.containerd.grpc.v1.cri/netns")).then(async (names) =>
        names.length > 0 ? names : await namesIn(join(paths.state, "netns")),
      ),
      namespaceOf: new Map(await Promise.all(namespaces)),
      cgroups: await cgroups(instance.instanceId),
      runc: await namesIn(join(paths.runcRoot, "k8s.io")),
    };
  } finally {
    client.close();
  }
}

async function namespaceOf(client: ContainerdClient, id: string): Promise<string> {
  const answer = await client.podSandboxStatus({ podSandboxId: id, verbose: true }).catch(() => undefined);
  return /"network","path":"[^"]*\/([^"/]+)"/.exec(JSON.stringify(JSON.parse(answer?.info["info"] ?? "{}")))?.[1] ?? "";
}

async function ctr(socket: string, ...args: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run(["ctr", "--address", socket, "--namespace", "k8s.io", ...args]);
  return stdout.split("\n").filter((line) => line !== "");
}

async function shims(socket: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      const isOurs = command[0]?.includes("containerd-shim") === true && command.includes(socket);
      return isOurs ? [command[command.indexOf("-id") + 1] ?? ""] : [];
    }),
  );
  return found.flat();
}

async function mountsUnder(folders: readonly string[]): Promise<readonly string[]> {
  const points = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => folders.some((folder) => point.startsWith(`${folder}/`)));
}

async function cgroups(instanceId: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const root of hierarchies()) {
    const folder = join(root, `tidegate-${instanceId}`);
    for (const sandbox of await foldersIn(folder)) {
      // On cgroup v2 the daemons have a group there too.
      if (sandbox === "daemons") continue;
      found.add(sandbox);
      for (const container of await foldersIn(join(folder, sandbox))) found.add(`${sandbox}/${container}`);
    }
  }
  return [...found];
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}
