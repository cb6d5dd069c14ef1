import type { ContainerRuntime, RuntimeImage } from "../contracts/container-runtime.ts";
import type { Logger } from "../core/logger.ts";

export interface CollectRequest {
  /** Digests of manifests or indexes that stay whoever uses them: of services' deployments. */
  readonly needed: ReadonlySet<string>;
  /** Only what nobody asked for within this time. */
  readonly minimumIdleMs: number;
  /** Asked after each removal: whether that was enough. Left out, all that may go goes. */
  readonly isEnough?: () => Promise<boolean>;
}

export interface ImageCollectorOptions {
  readonly runtime: Pick<ContainerRuntime, "listImages" | "removeImage">;
  /** Ids of the images that workloads have pulled and will make containers of. */
  readonly held: () => ReadonlySet<string>;
  readonly logger: Logger;
}

/** Removes images from the runtime that nothing uses. The registry has them still, so that the next task that wants one pulls it again. */
export class ImageCollector {
  readonly #options: ImageCollectorOptions;

  constructor(options: ImageCollectorOptions) {
    this.#options = options;
  }

  /** Those removed, the one that was idle longest first. */
  async collect(request: CollectRequest): Promise<readonly RuntimeImage[]> {
    const { runtime, held, logger } = this.#options;
    const removed: RuntimeImage[] = [];
    for (const image of planCollection((await runtime.listImages?.()) ?? [], { ...request, held: held() })) {
      if (request.isEnough !== undefined && (await request.isEnough())) break;
      // Since the list was made a workload may have begun to use it.
      if (held().has(image.id) || (await runtime.removeImage?.(image.id)) !== true) continue;
      removed.push(image);
      logger.info("an image that nothing uses was removed", { image: image.names[0], sizeBytes: image.sizeBytes, idleMs: Math.round(image.idleMs) });
    }
    return removed;
  }
}

/** The images that may go, in the order of their going. Pure. */
export function planCollection(
  images: readonly RuntimeImage[],
  use: Pick<CollectRequest, "needed" | "minimumIdleMs"> & { readonly held: ReadonlySet<string> },
): readonly RuntimeImage[] {
  return images
    .filter((image) => !image.inUse && !use.held.has(image.id) && image.idleMs >= use.minimumIdleMs)
    .filter((image) => !image.digests.some((digest) => use.needed.has(digest)))
    .toSorted((a, b) => b.idleMs - a.idleMs);
}
