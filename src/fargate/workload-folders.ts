import { chmod, chown, mkdir, readdir, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DiskUsage, RuntimeMount } from "../contracts/container-runtime.ts";
import type { ContainerSpec, Mount, VolumeSpec, Workload } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";
import { allEnded } from "./all-ended.ts";
import { writeAtomically, type WrittenFile } from "./atomic-writer.ts";
import { folderUsage } from "./folder-usage.ts";
import { mountMemory, mountSubPath, unmountAll } from "./host-mounts.ts";
import type { DiskSpace } from "./plan-storage.ts";

/** What goes into a workload's files, once its address is known. */
export interface FolderContent {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
  /** By volume name: the produced files of `files` volumes. */
  readonly files: VolumeContent;
}

export type VolumeContent = Readonly<Record<string, readonly WrittenFile[]>>;

/** The files of workloads on the host. */
export interface WorkloadFolders {
  /** Writes the workload's files and makes its volumes. Idempotent; what containers wrote there, and the rights they gave, stay. */
  prepare(workload: Workload, content: FolderContent): Promise<void>;
  /** Brings `files` volumes that are there to this content. Idempotent. */
  refresh(workload: Workload, files: VolumeContent): Promise<void>;
  /** The mounts of one of its containers, of whose subPaths each is mounted anew. @throws Problem `invalid` for a volume that is none. */
  mountsOf(workload: Workload, container: ContainerSpec): Promise<readonly RuntimeMount[]>;
  /** Makes the folder of a container's logs and answers its path's start: `<that>/<attempt>.log`. */
  prepareLogs(sandboxName: string, container: string): Promise<void>;
  /** The runtime writes the log here. */
  logPath(sandboxName: string, container: string, attempt: number): string;
  /** Where an attempt of a container leaves its last words. */
  messagePath(id: string, container: string, attempt: number): string;
  /** Removes the log of an attempt, with the files that were rotated away. */
  removeLog(sandboxName: string, container: string, attempt: number): Promise<void>;
  removeWorkload(id: string): Promise<void>;
  /** Removes a persistent volume with all that is in it. Idempotent. */
  removeVolume(id: string): Promise<void>;
  removeSandbox(name: string): Promise<void>;
  /** Takes the logs of these containers out of a sandbox's folder, to outlast it. Idempotent. */
  keepLogs(sandboxName: string, workloadId: string, containers: readonly string[]): Promise<void>;
  /** Removes what `keepLogs` kept. Idempotent. */
  removeKeptLogs(workloadId: string): Promise<void>;
  /** The attempts of a container whose logs are there, with their current files: in the sandbox's folder where one is named, else kept. */
  logFiles(workloadId: string, container: string, sandboxName?: string): Promise<readonly { readonly attempt: number; readonly path: string }[]>;
  list(): Promise<{ readonly workloads: readonly string[]; readonly sandboxes: readonly string[]; readonly keptLogs: readonly string[] }>;
  /** What the files of each workload (by id) and the logs of each sandbox (by name) take on disk. Counts every file. */
  usage(signal: AbortSignal): Promise<{ readonly workloads: ReadonlyMap<string, DiskUsage>; readonly sandboxes: ReadonlyMap<string, DiskUsage> }>;
  /** What each volume of a workload, by name, takes on disk. */
  volumeUsage(workloadId: string, signal: AbortSignal): Promise<ReadonlyMap<string, DiskUsage>>;
  /** Of the file system that they are on. */
  space(): Promise<DiskSpace>;
}

/**
 * What containers get is open to any user inside them, so the folders above are root's alone: no other user of the host comes through.
 * Mounts are made by root, before a container's own user is taken on.
 */
async function makeClosed(...folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o700);
  }
}

/** Folders under `<dataDir>/workloads/<id>`, `<dataDir>/mounts/<id>` (what containers see of volumes' subPaths) and `<dataDir>/sandboxes/<name>` (logs: a warm sandbox has its log folder before it has an owner). */
export function createWorkloadFolders({ dataDir }: { readonly dataDir: string }): WorkloadFolders {
  const workloadFolder = (id: string): string => join(dataDir, "workloads", id);
  const mountFolder = (id: string): string => join(dataDir, "mounts", id);
  const sandboxFolder = (name: string): string => join(dataDir, "sandboxes", name);
  const keptFolder = (workloadId: string): string => join(dataDir, "kept-logs", workloadId);
  return {
    async prepare(workload, content) {
      const folder = workloadFolder(workload.id);
      await makeClosed(join(dataDir, "workloads"), join(dataDir, "mounts"), join(dataDir, "volumes"));
      await mkdir(folder, { recursive: true });
      await allEnded([
        writeOnce(join(folder, "hosts"), content.hosts),
        writeOnce(join(folder, "hostname"), `${content.hostname}\n`),
        writeOnce(join(folder, "resolv.conf"), content.resolvConf),
        ...workload.volumes.map((volume) => prepareVolume({ dataDir, workload, volume, files: content.files[volume.name] ?? [] })),
      ]);
    },
    async refresh(workload, files) {
      for (const volume of workload.volumes) {
        const path = volumePath(dataDir, workload, volume);
        const now = files[volume.name];
        if (volume.type === "files" && now !== undefined && (await exists(path))) await writeAtomically(path, now, workload.fsGroup);
      }
    },
    async mountsOf(workload, container) {
      const folder = workloadFolder(workload.id);
      const own = ["hosts", "hostname", "resolv.conf"].map((file) => ({
        hostPath: join(folder, file),
        containerPath: `/etc/${file}`,
        readOnly: container.readOnlyRootFilesystem,
      }));
      const mounts = container.mounts.map((mount, index) =>
        volumeMount(dataDir, workload, { mount, shownAt: join(mountFolder(workload.id), `${container.name}-${index}`) }),
      );
      return [...own, ...(await Promise.all(mounts))];
    },
    async prepareLogs(sandboxName, container) {
      await makeClosed(join(dataDir, "sandboxes"));
      await mkdir(join(sandboxFolder(sandboxName), container), { recursive: true });
    },
    logPath: (sandboxName, container, attempt) => join(sandboxFolder(sandboxName), container, `${attempt}.log`),
    messagePath: (id, container, attempt) => join(workloadFolder(id), "messages", container, String(attempt)),
    async removeLog(sandboxName, container, attempt) {
      const folder = join(sandboxFolder(sandboxName), container);
      const own = (name: string): boolean => name === `${attempt}.log` || name.startsWith(`${attempt}.log.`);
      await Promise.all((await namesIn(folder)).filter(own).map((name) => rm(join(folder, name), { force: true })));
    },
    async removeWorkload(id) {
      for (const folder of [mountFolder(id), workloadFolder(id)]) {
        await unmountAll(folder);
        await rm(folder, { recursive: true, force: true });
      }
    },
    removeVolume: (id) => rm(volumeFolder(dataDir, id), { recursive: true, force: true }),
    removeSandbox: (name) => rm(sandboxFolder(name), { recursive: true, force: true }),
    async keepLogs(sandboxName, workloadId, containers) {
      await makeClosed(join(dataDir, "kept-logs"));
      await mkdir(keptFolder(workloadId), { recursive: true });
      for (const container of containers) {
        await rename(join(sandboxFolder(sandboxName), container), join(keptFolder(workloadId), container)).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        });
      }
    },
    removeKeptLogs: (workloadId) => rm(keptFolder(workloadId), { recursive: true, force: true }),
    async logFiles(workloadId, container, sandboxName) {
      const folder = join(sandboxName === undefined ? keptFolder(workloadId) : sandboxFolder(sandboxName), container);
      const attempts = new Set((await namesIn(folder)).flatMap((name) => /^(\d+)\.log(?:\.\d+)?$/.exec(name)?.[1] ?? []));
      return [...attempts].map((attempt) => ({ attempt: Number(attempt), path: join(folder, `${attempt}.log`) }));
    },
    async list() {
      const names = ["workloads", "mounts", "sandboxes", "kept-logs"].map((name) => namesIn(join(dataDir, name)));
      const [workloads = [], mounts = [], sandboxes = [], keptLogs = []] = await Promise.all(names);
      return { workloads: [...new Set([...workloads, ...mounts])], sandboxes, keptLogs };
    },
    async usage(signal) {
      const [workloads, sandboxes] = [join(dataDir, "workloads"), join(dataDir, "sandboxes")];
      return { workloads: await folderUsage(workloads, signal), sandboxes: await folderUsage(sandboxes, signal) };
    },
    volumeUsage: (id, signal) => folderUsage(join(workloadFolder(id), "volumes"), signal),
    async space() {
      const { bavail, blocks, bsize } = await statfs(dataDir);
      return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
    },
  };
}

/** Folders that are not there, for a runtime that mounts nothing. */
export function createInertFolders(): WorkloadFolders {
  return {
    prepare: async () => {},
    refresh: async () => {},
    mountsOf: async () => [],
    prepareLogs: async () => {},
    logPath: (sandboxName, container, attempt) => `/simulated/${sandboxName}/${container}/${attempt}.log`,
    messagePath: (id, container, attempt) => `/simulated/${id}/${container}/${attempt}`,
    removeLog: async () => {},
    removeWorkload: async () => {},
    removeVolume: async () => {},
    removeSandbox: async () => {},
    keepLogs: async () => {},
    removeKeptLogs: async () => {},
    logFiles: async () => [],
    list: async () => ({ workloads: [], sandboxes: [], keptLogs: [] }),
    usage: async () => ({ workloads: new Map(), sandboxes: new Map() }),
    volumeUsage: async () => new Map(),
    space: async () => ({ freeBytes: Infinity, sizeBytes: Infinity }),
  };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Of a persistent volume. */
export function volumeFolder(dataDir: string, id: string): string {
  return join(dataDir, "volumes", id);
}

function volumePath(dataDir: string, workload: Workload, volume: VolumeSpec): string {
  if (volume.type === "host") return volume.path;
  return volume.type === "persistent" ? volumeFolder(dataDir, volume.id) : join(dataDir, "workloads", workload.id, "volumes", volume.name);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

interface VolumeToPrepare {
  readonly dataDir: string;
  readonly workload: Workload;
  readonly volume: VolumeSpec;
  readonly files: readonly WrittenFile[];
}

async function prepareVolume({ dataDir, workload, volume, files }: VolumeToPrepare): Promise<void> {
  if (volume.type === "host") return;
  const path = volumePath(dataDir, workload, volume);
  if (volume.type === "files") {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
    return writeAtomically(path, files, workload.fsGroup);
  }
  // Any user of the image may write, as in an emptyDir.
  const rights = { mode: workload.fsGroup === undefined ? 0o777 : 0o2777, groupId: workload.fsGroup ?? 0 };
  await makeOnce(path, rights);
  if (volume.type === "ephemeral" && volume.medium === "memory") {
    await mountMemory(path, { ...rights, sizeBytes: Math.min(volume.sizeLimit?.bytes ?? Infinity, workload.memoryMiB * 1024 ** 2) });
  }
}

/**
 * What a container has mounted is whole as soon as it has its name, and is its own from then on. A start of Tidegate prepares again what was
 * not stored as prepared, and a container may run by then: it must not see an empty file, nor lose what it has written.
 */
async function writeOnce(path: string, text: string): Promise<void> {
  if (await exists(path)) return;
  const draft = `${path}.new`;
  await writeFile(draft, text);
  await rename(draft, path);
}

/** A folder, likewise: a database closes its own to others, and insists on that. No volume's name has a dot in it. */
async function makeOnce(path: string, { mode, groupId }: { readonly mode: number; readonly groupId: number }): Promise<void> {
  if (await exists(path)) return;
  const draft = `${path}.new`;
  await mkdir(draft, { recursive: true });
  await chown(draft, 0, groupId);
  // mkdir's mode is cut by the umask, and a change of the owner takes away bits.
  await chmod(draft, mode);
  await rename(draft, path);
}

interface ShownMount {
  readonly mount: Mount;
  /** Where what is at its subPath is mounted, so that nobody swaps it on its way into the container. */
  readonly shownAt: string;
}

async function volumeMount(dataDir: string, workload: Workload, { mount, shownAt }: ShownMount): Promise<RuntimeMount> {
  const { containerPath, readOnly } = mount;
  const volume = workload.volumes.find((each) => each.name === mount.volume);
  if (volume === undefined)
    throw new Problem("invalid", `the mount at ${containerPath} names volume ${mount.volume}, which the workload does not have`);
  const path = volumePath(dataDir, workload, volume);
  if (mount.subPath === undefined) return { hostPath: path, containerPath, readOnly };
  await mountSubPath(path, mount.subPath, shownAt);
  return { hostPath: shownAt, containerPath, readOnly };
}
