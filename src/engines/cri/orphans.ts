import { readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { killProcess, readProc, startTimeOf } from "../../host/process.ts";
import { run } from "../../host/run.ts";
import type { ContainerdPaths } from "./containerd-config.ts";
import type { ContainerdClient } from "./grpc.ts";
import { isNotFound, NAMESPACE } from "./grpc.ts";
import type { Strangers } from "./strangers.ts";

const SHIM_SOCKETS = "/run/containerd/s/";

export interface OrphanLook {
  readonly client: ContainerdClient;
  readonly paths: ContainerdPaths;
  /** Of the containerd that runs: clock ticks since the boot. */
  readonly startTicks: string;
  /** What earlier looks found and could not judge. */
  readonly strangers: Strangers;
  /** How long something has to stay unknown to be nobody's. */
  readonly quietMs: number;
  /** The network namespaces of sandboxes by their ids, as far as earlier looks learnt them. */
  readonly namespaceOf: Map<string, string>;
}

/** What there is that CRI does not know. */
interface Unknown {
  readonly shims: readonly Shim[];
  /** Ids of the OCI runtime. */
  readonly containers: readonly string[];
  readonly namespaces: readonly string[];
  readonly leases: readonly string[];
}

/**
 * Ends what was cut off beneath CRI, which knows nothing of it: shims, containers of the OCI runtime with their processes and cgroups, network
 * namespaces, and leases, which would hold snapshots and layers for a day. A containerd that was killed leaves such, and one whose own
 * clearing up took too long. Shims and containers that are older than the containerd that runs are nobody's at once; the rest once
 * `Strangers` says so. To be called when CRI answers. Answers how many things were ended.
 */
export async function endOrphans(look: OrphanLook): Promise<number> {
  const { client, paths, strangers, quietMs } = look;
  const { oldest } = client.making;
  const known = await knownToCri(look);
  const unknown = await unknownTo(known, look);
  const { begun } = client.making;
  const isOld = (startTicks: string): boolean => Number(startTicks) < Number(look.startTicks);
  const ticks = new Map(await Promise.all(unknown.containers.map(async (id) => [id, await initStartTicks(paths, id)] as const)));
  const old = new Set([
    ...unknown.shims.filter((shim) => isOld(shim.startTicks)).map(nameOfShim),
    ...unknown.containers.filter((id) => isOld(ticks.get(id) ?? look.startTicks)),
  ]);
  const young = [...unknown.shims.map(nameOfShim), ...unknown.containers, ...unknown.namespaces, ...unknown.leases].filter((name) => !old.has(name));
  const nobodys = strangers.judge(young, { oldest, begun, quietMs }).union(old);
  for (const lease of unknown.leases.filter((id) => nobodys.has(id))) await client.deleteLease({ id: lease, sync: true }).catch(ifGone);
  for (const shim of unknown.shims.filter((each) => nobodys.has(nameOfShim(each)))) await endShim(shim);
  for (const id of unknown.containers.filter((each) => nobodys.has(each))) {
    await run(["runc", "--root", join(paths.runcRoot, NAMESPACE), "delete", "--force", id], { okCodes: [0, 1] });
  }
  for (const path of unknown.namespaces.filter((each) => nobodys.has(each))) {
    await run(["umount", "-l", path], { okCodes: [0, 1, 32] });
    await rm(path, { force: true });
  }
  return nobodys.size;
}

function ifGone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

interface Known {
  readonly ids: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
}

async function unknownTo(known: Known, { client, paths }: OrphanLook): Promise<Unknown> {
  const folder = join(paths.state, "io.containerd.grpc.v1.cri/netns");
  const [containers, namespaces, { leases }, shims] = await Promise.all([
    readdir(join(paths.runcRoot, NAMESPACE)).catch(() => []),
    readdir(folder).catch(() => []),
    client.listLeases({}),
    shimsOf(paths.socket),
  ]);
  return {
    shims: shims.filter(({ id }) => !known.ids.has(id)),
    containers: containers.filter((id) => !known.ids.has(id)),
    namespaces: namespaces.map((name) => join(folder, name)).filter((path) => !known.namespaces.has(path)),
    leases: leases.map(({ id }) => id),
  };
}

/** When the first process of a container of the OCI runtime was started; `undefined` while it is being made. */
async function initStartTicks(paths: ContainerdPaths, id: string): Promise<string | undefined> {
  const text = await readFile(join(paths.runcRoot, NAMESPACE, id, "state.json"), "utf8").catch(() => "");
  return /"init_process_start":(\d+)/.exec(text)?.[1];
}

async function knownToCri({ client, namespaceOf }: OrphanLook): Promise<Known> {
  const [{ items }, { containers }] = await Promise.all([client.listPodSandbox({}), client.listContainers({})]);
  const listed = new Set(items.map(({ id }) => id));
  for (const id of namespaceOf.keys()) if (!listed.has(id)) namespaceOf.delete(id);
  await Promise.all(items.map(async ({ id }) => namespaceOf.has(id) || namespaceOf.set(id, await namespaceOfSandbox(client, id))));
  const inhabited = new Set(containers.map(({ podSandboxId }) => podSandboxId));
  // One whose making was cut off is listed, dead and empty; CRI removes it later without its shim.
  const sandboxes = items.filter(({ id, state }) => state === "SANDBOX_READY" || inhabited.has(id));
  return { ids: new Set([...sandboxes, ...containers].map(({ id }) => id)), namespaces: new Set(namespaceOf.values()) };
}

/** Empty for a sandbox that went meanwhile. */
async function namespaceOfSandbox(client: ContainerdClient, podSandboxId: string): Promise<string> {
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

const nameOfShim = ({ pid, startTicks }: Shim): string => `shim ${pid} of ${startTicks}`;

/** What containerd runs the shim's program for in passing: to start one, and to clear up behind one that is gone. */
const PASSING = new Set(["start", "delete"]);

/** Our shims are those that report to our containerd's socket. */
export async function shimsOf(socket: string): Promise<readonly Shim[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.flatMap((pid) => {
    const command = (readProc(`/proc/${pid}/cmdline`) ?? "").split("\0");
    const startTicks = startTimeOf(pid);
    if (startTicks === undefined || command[0]?.includes("containerd-shim") !== true || !command.includes(socket)) return [];
    // The command line ends in a zero.
    if (PASSING.has(command.at(-2) ?? "")) return [];
    return [{ pid, id: command[command.indexOf("-id") + 1] ?? "", startTicks }];
  });
}

/** With its socket, which lies in a folder that all containerds of the host share. */
async function endShim({ pid, startTicks }: Shim): Promise<void> {
  if (startTimeOf(pid) !== startTicks) return;
  const sockets = await socketsOf(pid);
  killProcess(pid);
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
