import { join } from "node:path";
import { controlPlaneReference, kubernetesReferences, pushControlPlane } from "../builder/kubernetes/image.ts";
import { DEFAULT_CACHE_FOLDER, KUBERNETES_VERSION } from "../builder/kubernetes/look.ts";
import { obtainKubernetes } from "../builder/kubernetes/obtain.ts";
import { PUBLIC_PREFIX } from "../builder/public-names.ts";
import type { Toolbox } from "../contracts/service.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Registry } from "../registry/registry.ts";
import type { ControlPlaneImages } from "../services/eks/ports.ts";

export interface ControlPlaneImageParts extends Toolbox {
  readonly config: InstanceConfig;
  readonly registry: Registry;
}

/** The control plane's image in the registry; one that is not there is made as `tidegate images seed kubernetes` makes it, one at a time. */
export function controlPlaneImages({ config, registry, clock, logger }: ControlPlaneImageParts): ControlPlaneImages {
  const reference = controlPlaneReference(KUBERNETES_VERSION);
  const image = reference.slice(PUBLIC_PREFIX.length + 1);
  let making: Promise<void> | undefined;
  let hasTriedAddons = false;
  let failure: { readonly error: unknown } | undefined;
  const make = async (mirror?: "off"): Promise<void> => {
    const say = (text: string): void => logger.info(`EKS needs the image ${reference}: ${text}`);
    const programs = await obtainKubernetes({ cacheFolder: DEFAULT_CACHE_FOLDER, mirror, onStep: say });
    say("pack and push");
    const { account, region, port } = config;
    const { password } = registry.tokens.issue({ account, region, principalArn: `arn:aws:iam::${account}:root` });
    const access = { host: `localhost:${port}`, username: "AWS", password };
    const createdAt = new Date(clock.nowMs()).toISOString();
    await pushControlPlane(programs, { registry: access, stateFolder: join(config.dataDir, "builder"), createdAt });
  };
  return {
    async find() {
      // With no compute nothing is pulled.
      if (config.engine === "simulated") return { image, digest: `sha256:${"0".repeat(64)}` };
      const all = await registry.listPublicImages();
      const kept = all.find((each) => each.image === image);
      if (kept !== undefined) {
        const there = new Set(all.map((each) => `${PUBLIC_PREFIX}/${each.image}`));
        // One that an older Tidegate has made lacks the add-ons; so does an operator's folder, maybe, and upstream's release, which has no
        // metrics-server: they are built, which is tried once, and the clusters do not wait for it.
        if (!hasTriedAddons && kubernetesReferences().some((each) => !there.has(each))) {
          hasTriedAddons = true;
          making ??= make("off")
            .catch((error: unknown) => logger.warn("the images of the clusters' add-ons could not be made", { err: error }))
            .finally(() => (making = undefined));
        }
        return { image, digest: kept.digest };
      }
      if (failure !== undefined) {
        const { error } = failure;
        failure = undefined;
        throw error;
      }
      making ??= make()
        .catch((error: unknown) => {
          failure = { error };
        })
        .finally(() => (making = undefined));
      return undefined;
    },
  };
}
