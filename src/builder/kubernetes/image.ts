import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { tellingFullDisk } from "../../host/disk-guard.ts";
import type { RegistryAccess } from "../builder.ts";
import { PUBLIC_PREFIX } from "../public-names.ts";
import { pushImage } from "../seed/push-image.ts";
import { packFolder } from "../seed/tar-layer.ts";
import { ADDON_PROGRAMS, type AddonProgram, KUBERNETES_VERSION } from "./look.ts";
import type { KubernetesPrograms } from "./obtain.ts";

/** The host is no registry's, so no mirror is ever asked for what is named by it. */
const HOST = "kubernetes.tidegate.internal";
const CONTROL_PLANE = `${HOST}/control-plane`;
const FOLDER = "usr/local/bin";

export interface ControlPlaneImage {
  /** e.g. `tidegate-public/kubernetes.tidegate.internal/control-plane:1.36.3`. */
  readonly reference: string;
  readonly digest: string;
}

/** How the registry calls the control plane's image of a version. Pure. */
export function controlPlaneReference(version: string): string {
  return `${PUBLIC_PREFIX}/${CONTROL_PLANE}:${version}`;
}

/** How pods name the image of an add-on's program, e.g. `kubernetes.tidegate.internal/coredns:v1.14.2`. Pure. */
export function addonImage(program: AddonProgram): string {
  return `${HOST}/${program}:v${ADDON_PROGRAMS[program]}`;
}

/** All images that a cluster may need, as the registry calls them. Pure. */
export function kubernetesReferences(): readonly string[] {
  const addons = (Object.keys(ADDON_PROGRAMS) as AddonProgram[]).map((program) => `${PUBLIC_PREFIX}/${addonImage(program)}`);
  return [controlPlaneReference(KUBERNETES_VERSION), ...addons];
}

export interface ControlPlaneImageOptions {
  readonly registry: RegistryAccess;
  /** Temporary files go here. */
  readonly stateFolder: string;
  readonly createdAt: string;
}

/**
 * Pushes an image with the programs in `/usr/local/bin` and nothing else: no shell, no libraries, no user; then, over the same layer, an
 * image for each add-on's program, which it runs.
 */
export async function pushControlPlane(programs: KubernetesPrograms, options: ControlPlaneImageOptions): Promise<ControlPlaneImage> {
  await mkdir(options.stateFolder, { recursive: true });
  const folder = await mkdtemp(join(options.stateFolder, "kubernetes-"));
  try {
    return await tellingFullDisk("the control plane's image cannot be made", options.stateFolder, () => packAndPush(programs, folder, options));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function packAndPush(programs: KubernetesPrograms, folder: string, options: ControlPlaneImageOptions): Promise<ControlPlaneImage> {
  const bin = join(folder, "root", FOLDER);
  await mkdir(bin, { recursive: true });
  const files: Readonly<Record<string, string>> = { ...programs.files, ...programs.addons };
  for (const path of new Set(Object.values(files))) {
    await copyFile(path, join(bin, basename(path)));
    await chmod(join(bin, basename(path)), 0o755);
  }
  for (const [program, path] of Object.entries(files)) {
    if (basename(path) !== program) await symlink(basename(path), join(bin, program));
  }
  const layer = await packFolder(join(folder, "root"), join(folder, "layer.tar.gz"));
  const config = { environment: [`PATH=/${FOLDER}`], command: [], createdAt: options.createdAt };
  const repository = `${PUBLIC_PREFIX}/${CONTROL_PLANE}`;
  const digest = await pushImage(options.registry, { repository, tags: [programs.version], layers: [layer], config });
  for (const program of Object.keys(programs.addons) as AddonProgram[]) {
    await pushImage(options.registry, {
      repository: `${PUBLIC_PREFIX}/${HOST}/${program}`,
      tags: [`v${ADDON_PROGRAMS[program]}`],
      layers: [layer],
      config: { ...config, entryPoint: [`/${FOLDER}/${program}`] },
      mountFrom: repository,
    });
  }
  return { reference: controlPlaneReference(programs.version), digest };
}
