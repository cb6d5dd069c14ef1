import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { RegistryAccess } from "../builder.ts";
import { PUBLIC_PREFIX } from "../public-names.ts";
import { pushImage } from "../seed/push-image.ts";
import { packFolder } from "../seed/tar-layer.ts";
import { KUBERNETES_PROGRAMS } from "./look.ts";
import type { KubernetesPrograms } from "./obtain.ts";

/** Where the registry keeps control planes; the host is no registry's, so no mirror is ever asked for them. */
const NAME = "kubernetes.tidegate.internal/control-plane";
const FOLDER = "usr/local/bin";

export interface ControlPlaneImage {
  /** e.g. `tidegate-public/kubernetes.tidegate.internal/control-plane:1.36.3`. */
  readonly reference: string;
  readonly digest: string;
}

/** How the registry calls the image of a version. Pure. */
export function controlPlaneReference(version: string): string {
  return `${PUBLIC_PREFIX}/${NAME}:${version}`;
}

export interface ControlPlaneImageOptions {
  readonly registry: RegistryAccess;
  /** Temporary files go here. */
  readonly stateFolder: string;
  readonly createdAt: string;
}

/** Pushes an image with the programs in `/usr/local/bin` and nothing else: no shell, no libraries, no user. */
export async function pushControlPlane(programs: KubernetesPrograms, options: ControlPlaneImageOptions): Promise<ControlPlaneImage> {
  await mkdir(options.stateFolder, { recursive: true });
  const folder = await mkdtemp(join(options.stateFolder, "kubernetes-"));
  try {
    const bin = join(folder, "root", FOLDER);
    await mkdir(bin, { recursive: true });
    for (const path of new Set(Object.values(programs.files))) {
      await copyFile(path, join(bin, basename(path)));
      await chmod(join(bin, basename(path)), 0o755);
    }
    for (const program of KUBERNETES_PROGRAMS) {
      const file = basename(programs.files[program]);
      if (file !== program) await symlink(file, join(bin, program));
    }
    const layer = await packFolder(join(folder, "root"), join(folder, "layer.tar.gz"));
    const digest = await pushImage(options.registry, {
      repository: `${PUBLIC_PREFIX}/${NAME}`,
      tags: [programs.version],
      layers: [layer],
      config: { environment: [`PATH=/${FOLDER}`], command: [], createdAt: options.createdAt },
    });
    return { reference: controlPlaneReference(programs.version), digest };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
