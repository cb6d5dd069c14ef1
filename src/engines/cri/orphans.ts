import { readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../core/clock.ts";
import { readProc, startTimeOf } from "../../host/process.ts";
import { run } from "../../host/run.ts";
import type { ContainerdPaths } from "./containerd-config.ts";
import type { ContainerdClient } from "./grpc.ts";
import { NAMESPACE } from "./grpc.ts";
import { beganBefore } from "./started-at.ts";

const SHIM_SOCKETS = "/run/containerd/s/";

export interface OrphanOptions {
  readonly client: ContainerdClient;
  readonly paths: ContainerdPaths;
  readonly clock: Clock;
  /** Of the containerd that runs. */
  readonly pid: number | undefined;
  /** What the look before could not tell: still unknown to CRI, it is nobody's. */
  readonly strangers: ReadonlySet<string>;
}

export interface Orphans {
  readonly ended: number;
  /** Ids of shims and of the OCI runtime's containers that CRI does not know and that are young: it may be making them, or nobody ends them. */
  readonly strangers: ReadonlySet<string>;
}

/**
 * Ends what a containerd that was killed in the middle of its work left beneath CRI, which knows nothing of it: shims, the containers of the
 * OCI runtime with their processes and cgroups, network namespaces. What is older than the containerd that runs is such, and what two looks
 * in a row find; what it makes at this moment is younger. One that was not killed leaves such too: on a busy host it gives up on the shim of
 * a start that its caller broke off. To be called once CRI answers.
 */
export async function endOrphans({ client, paths, clock, pid, strangers }: OrphanOptions): Promise<Orphans> {
  const startTicks = pid === undefined ? undefined : startTimeOf(pid);
  if (startTicks === undefined) return { ended: 0, strangers: new Set() };
  const known = await knownToCri(client);
  const beganMs = beganBefore({ startTicks, socket: paths.socket }, clock);
  const unknownShims = (await shimsOf(paths.socket)).filter(({ id }) => !known.ids.has(id));
  const shims = unknownShims.filter((shim) => Number(shim.startTicks) < Number(startTicks) || strangers.has(shim.id));
  for (const shim of shims) await endShim(shim.pid);
  const containers = join(paths.runcRoot, NAMESPACE);
  const unknown = (await readdir(containers).catch(() => [])).filter((id) => !known.ids.has(id));
  const old = new Set(await olderThan(containers, beganMs));
  const lost = unknown.filter((id) => old.has(id) || strangers.has(id));
  for (const id of lost) await run(["runc", "--root", containers, "delete", "--force", id], { okCodes: [0, 1] });
  const folder = join(paths.state, "io.containerd.grpc.v1.cri/netns");
  const namespaces = (await olderThan(folder, beganMs)).filter((name) => !known.namespaces.has(join(folder, name)));
  for (const name of namespaces) {
    await run(["umount", "-l", join(folder, name)], { okCodes: [0, 1, 32] });
    await rm(join(folder, name), { force: true });
  }
  const young = [...unknown.filter((id) => !lost.includes(id)), ...unknownShims.filter((shim) => !shims.includes(shim)).map(({ id }) => id)];
  return { ended: shims.length + lost.length + namespaces.length, strangers: new Set(young) };
}

async function knownToCri(client: ContainerdClient): Promise<{ readonly ids: ReadonlySet<string>; readonly namespaces: ReadonlySet<string> }> {
  const [{ items }, { containers }] = await Promise.all([client.listPodSandbox({}), client.listContainers({})]);
  const namespaces = await Promise.all(items.map(({ id }) => namespaceOf(client, id)));
  const inhabited = new Set(containers.map(({ podSandboxId }) => podSandboxId));
  // One whose making was cut off is listed, dead and empty; CRI removes it later without its shim.
  const sandboxes = items.filter(({ id, state }) => state === "SANDBOX_READY" || inhabited.has(id));
  return { ids: new Set([...sandboxes, ...containers].map(({ id }) => id)), namespaces: new Set(namespaces) };
}

/** Empty for a sandbox that went meanwhile. */
async function namespaceOf(client: ContainerdClient, podSandboxId: string): Promise<string> {
  const answer = await client.podSandboxStatus({ podSandboxId, verbose: true }).catch(() => undefined);
  const info = JSON.parse(answer?.info["info"] ?? "{}") as {
    readonly runtimeSpec?: { readonly linux?: { readonly namespaces?: readonly { readonly type: string; readonly path?: string }[] } };
  };
  return info.runtimeSpec?.linux?.namespaces?.find(({ type }) => type === "network")?.path ?? "";
}

interface Shim {
  readonly pid: number;
  /** Of the sandbox that it was started for. */
  readonly id: string;
  readonly startTicks: string;
}

/** Our shims are those that report to our containerd's socket. */
async function shimsOf(socket: string): Promise<readonly Shim[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.flatMap((pid) => {
    const command = (readProc(`/proc/${pid}/cmdline`) ?? "").split("\0");
    const startTicks = startTimeOf(pid);
    if (startTicks === undefined || command[0]?.includes("containerd-shim") !== true || !command.includes(socket)) return [];
    return [{ pid, id: command[command.indexOf("-id") + 1] ?? "", startTicks }];
  });
}

/** With its socket, which lies in a folder that all containerds of the host share. */
async function endShim(pid: number): Promise<void> {
  const sockets = await socketsOf(pid);
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
  for (const path of sockets) await rm(path, { force: true });
}

async function socketsOf(pid: number): Promise<readonly string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder).catch(() => [])).map((name) => readlink(join(folder, name)).catch(() => "")));
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const table = await readFile(`/proc/${pid}/net/unix`, "utf8").catch(() => "");
  return table.split("\n").flatMap((line) => {
    const [, , , , , , inode = "", path = ""] = line.trim().split(/\s+/);
    return inodes.has(inode) && path.startsWith(SHIM_SOCKETS) ? [path] : [];
  });
}

async function olderThan(folder: string, timeMs: number): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const ages = await Promise.all(names.map(async (name) => ({ name, mtimeMs: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs })));
  return ages.flatMap(({ name, mtimeMs }) => (mtimeMs !== undefined && mtimeMs < timeMs ? [name] : []));
}
