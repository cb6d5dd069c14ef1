import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../core/clock.ts";
import { killProcess } from "../../host/process.ts";
import { run } from "../../host/run.ts";
import { endGroup, hierarchies } from "./cgroup.ts";
import type { ContainerdPaths } from "./containerd-config.ts";

/**
 * What may be left when containerd is gone, or could not clean up: containers' processes, shims, mounts, cgroups, files. To be called with
 * containerd stopped. Idempotent; needs no record of anything.
 */
export async function removeLeftovers(instanceId: string, paths: ContainerdPaths, clock: Clock): Promise<void> {
  const shimSockets = await shimSocketsOf(paths.state);
  await killShims(paths, clock);
  await endGroup(`/tidegate-${instanceId}`, clock);
  await unmountUnder([paths.root, paths.state, paths.runcRoot]);
  for (const socket of shimSockets) await rm(socket, { force: true });
  for (const path of [paths.root, paths.state, paths.runcRoot, dirname(paths.configFile), paths.socket, `${paths.socket}.ttrpc`]) {
    await rm(path, { recursive: true, force: true });
  }
  await removeCniResults(instanceId);
  // What every containerd shares; both stay, rightly, while another has something there.
  for (const folder of SHARED_FOLDERS) await rmdir(folder).catch(() => {});
}

const CNI_RESULTS = "/var/lib/cni/results";
const SHARED_FOLDERS = ["/run/containerd/s", "/run/containerd", CNI_RESULTS, dirname(CNI_RESULTS)];

/** containerd's CNI library keeps an answer for each sandbox in a folder that no setting moves, under names that do not tell whose it is. */
async function removeCniResults(instanceId: string): Promise<void> {
  for (const name of await readdir(CNI_RESULTS).catch(() => [])) {
    const path = join(CNI_RESULTS, name);
    const text = await readFile(path, "utf8").catch(() => "");
    if (text.includes(`["K8S_POD_NAME","tidegate-${instanceId}-`)) await rm(path, { force: true });
  }
}

/** Shims keep their sockets in `/run/containerd/s`, which no setting of containerd 1.6 moves; each bundle names its own. */
async function shimSocketsOf(state: string): Promise<readonly string[]> {
  const tasks = join(state, "io.containerd.runtime.v2.task");
  const files = await readdir(tasks, { recursive: true }).catch(() => []);
  const addresses = files.filter((file) => file.endsWith("/address") && file.split("/").length === 3);
  return await Promise.all(addresses.map(async (file) => (await readFile(join(tasks, file), "utf8")).trim().replace(/^unix:\/\//, "")));
}

/** Process ids of our shims: those that report to our containerd's socket. */
export async function findShims(paths: Pick<ContainerdPaths, "socket">): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (command.some((part) => part.includes("containerd-shim")) && command.includes(paths.socket)) found.push(Number(pid));
  }
  return found;
}

async function killShims(paths: ContainerdPaths, clock: Clock): Promise<void> {
  for (const pid of await findShims(paths)) killProcess(pid);
  await clock.sleep(0);
}

async function unmountUnder(folders: readonly string[]): Promise<void> {
  const points = (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .map((line) => (line.split(" ")[4] ?? "").replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))))
    .filter((point) => folders.some((folder) => point.startsWith(`${folder}/`)));
  // Deepest first: later mounts lie on earlier ones.
  for (const point of points.reverse()) await run(["umount", "-l", point], { okCodes: [0, 1, 32] });
}

/** True when the instance has no cgroup left on any hierarchy. */
export async function groupIsGone(group: string): Promise<boolean> {
  const found = await Promise.all(hierarchies().map((root) => readdir(join(root, group)).catch(() => undefined)));
  return found.every((entries) => entries === undefined);
}
