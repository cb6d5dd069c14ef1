import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";
import type { Daemon, DaemonSpec, DaemonSupervisor } from "../../contracts/daemon.ts";
import type { InstanceConfig } from "../../core/config.ts";
import type { Logger } from "../../core/logger.ts";
import { Problem } from "../../core/problem.ts";
import { readTextIfAny, removeDrafts, writeFileAtomically } from "../../host/files.ts";
import { run } from "../../host/run.ts";
import { hasSysResource } from "./capabilities.ts";
import { CNI_CONFLIST, CNI_LOOPBACK, CNI_STUB, containerdConfig, containerdPaths, registryHostsToml } from "./containerd-config.ts";
import type { ContainerdPaths, RuntimeHandler } from "./containerd-config.ts";
import { renewIfDamaged } from "./damaged-metadata.ts";
import type { ContainerdClient } from "./grpc.ts";
import { overlayWorks, removeOverlayTrial } from "./overlay-trial.ts";
import type { Rlimit } from "./ulimits.ts";

const READY_TIMEOUT_MS = 30_000;
const SEARCH_PATH = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

export interface ContainerdOptions {
  readonly config: Pick<InstanceConfig, "instanceId" | "dataDir" | "runDir">;
  readonly supervisor: DaemonSupervisor;
  readonly logger: Logger;
  readonly client: ContainerdClient;
  readonly registryPort: number;
  readonly pauseImage: string;
  readonly defaultRlimits: readonly Rlimit[];
}

export interface RunningContainerd {
  readonly daemon: Daemon;
  readonly paths: ContainerdPaths;
  readonly runtimeHandlers: readonly string[];
  readonly snapshotter: "overlayfs" | "native";
  readonly ctr: string;
}

/**
 * Writes containerd's files and starts it, or adopts the one that runs; restarts it when its configuration changed, which no container
 * notices. One whose own database did not survive a power cut begins anew. @throws Problem `unavailable` when a program is missing or it does not come up.
 */
export async function startContainerd(options: ContainerdOptions): Promise<RunningContainerd> {
  const paths = containerdPaths(options.config);
  const [containerd, ctr, runtimes] = await Promise.all([program("containerd"), program("ctr"), findRuntimes()]);
  const [snapshotter, baseSpecFile] = await Promise.all([
    chooseSnapshotter(paths, options.config.dataDir),
    writeBaseSpec(ctr, dirname(paths.configFile), options.defaultRlimits),
  ]);
  if (snapshotter === "native") {
    options.logger.warn("overlayfs does not work here: image layers are copied, which costs time and disk", { dataDir: options.config.dataDir });
  }
  const mayLowerOomScore = hasSysResource();
  const toml = containerdConfig({ paths, pauseImage: options.pauseImage, mayLowerOomScore, snapshotter, runtimes, baseSpecFile });
  await writeContainerdFiles(paths, toml, options.registryPort);
  const spec: DaemonSpec = {
    name: "containerd",
    command: [containerd, "--config", paths.configFile],
    environment: { TIDEGATE_CONFIG_HASH: createHash("sha256").update(toml).digest("hex").slice(0, 16) },
    logFile: paths.logFile,
    ready: () => answers(options.client),
    readyTimeoutMs: READY_TIMEOUT_MS,
  };
  const daemon = await renewIfDamaged({ paths, logger: options.logger }, () => options.supervisor.ensure(spec));
  return { daemon, paths, runtimeHandlers: runtimes.map((runtime) => runtime.name), snapshotter, ctr };
}

async function answers(client: ContainerdClient): Promise<boolean> {
  // A call that CRI answers only once it has looked at what runs.
  await client.listPodSandbox({}, { deadlineMs: 1_000 });
  return true;
}

async function writeContainerdFiles(paths: ContainerdPaths, toml: string, registryPort: number): Promise<void> {
  for (const folder of [dirname(paths.configFile), join(paths.registryHosts, "_default"), paths.cniConf, paths.cniBin]) await removeDrafts(folder);
  for (const folder of [paths.root, paths.state, paths.runcRoot]) await mkdir(folder, { recursive: true, mode: 0o711 });
  await writeIfChanged(paths.configFile, toml);
  await writeIfChanged(join(paths.registryHosts, "_default/hosts.toml"), registryHostsToml(registryPort));
  await writeIfChanged(join(paths.cniConf, "10-tidegate.conflist"), CNI_CONFLIST);
  for (const [name, script] of [
    ["tidegate-stub", CNI_STUB],
    ["loopback", CNI_LOOPBACK],
  ] as const) {
    await writeIfChanged(join(paths.cniBin, name), script);
    await chmod(join(paths.cniBin, name), 0o755);
  }
}

async function writeIfChanged(path: string, content: string): Promise<void> {
  if ((await readTextIfAny(path)) !== content) await writeFileAtomically(path, content);
}

/** containerd's own default spec with our rlimits. Asked of `ctr` once for each version of it. */
async function writeBaseSpec(ctr: string, folder: string, rlimits: readonly Rlimit[]): Promise<string> {
  const { mtimeMs, size } = await stat(ctr);
  const key = createHash("sha256")
    .update(`${mtimeMs} ${size} ${JSON.stringify(rlimits)}`)
    .digest("hex")
    .slice(0, 12);
  const path = join(folder, `base-spec-${key}.json`);
  if ((await readTextIfAny(path)) !== undefined) return path;
  const spec = JSON.parse((await run([ctr, "oci", "spec"])).stdout) as { process: Record<string, unknown>; linux: Record<string, unknown> };
  delete spec.process["apparmorProfile"];
  delete spec.linux["seccomp"];
  await writeFileAtomically(path, JSON.stringify({ ...spec, process: { ...spec.process, rlimits } }));
  for (const name of await readdir(folder)) {
    if (name.startsWith("base-spec-") && name !== basename(path)) await rm(join(folder, name), { force: true });
  }
  return path;
}

/** runc always; any other runtime whose shim is installed, under the name that its documentation uses. */
async function findRuntimes(): Promise<readonly RuntimeHandler[]> {
  await program("containerd-shim-runc-v2");
  const others = [
    { name: "runsc", type: "io.containerd.runsc.v1", shim: "containerd-shim-runsc-v1" },
    { name: "kata", type: "io.containerd.kata.v2", shim: "containerd-shim-kata-v2" },
  ];
  const found = await Promise.all(others.map(async (other) => ((await findProgram(other.shim)) === undefined ? [] : [other])));
  return [{ name: "runc", type: "io.containerd.runc.v2", binary: await program("runc") }, ...found.flat().map(({ name, type }) => ({ name, type }))];
}

async function program(name: string): Promise<string> {
  const path = await findProgram(name);
  if (path !== undefined) return path;
  const debian = name === "runc" ? "runc" : "containerd";
  throw new Problem("unavailable", `${name} is not installed: apt-get install ${debian}`);
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of SEARCH_PATH.split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  return undefined;
}

async function chooseSnapshotter(paths: ContainerdPaths, dataDir: string): Promise<"overlayfs" | "native"> {
  await removeOverlayTrial(dataDir);
  return (await keptSnapshotter(paths)) ?? ((await overlayWorks(dataDir)) ? "overlayfs" : "native");
}

/** What images were unpacked with stays: a trial on a full disk would fail, and another snapshotter would not find them. */
async function keptSnapshotter({ configFile }: ContainerdPaths): Promise<"overlayfs" | "native" | undefined> {
  const kept = /^snapshotter = "(overlayfs|native)"$/m.exec((await readTextIfAny(configFile)) ?? "")?.[1];
  return kept === "overlayfs" || kept === "native" ? kept : undefined;
}
