import { rename, rm } from "node:fs/promises";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { Workload } from "../contracts/workload.ts";
import { listLogFiles, nextRotatedPath } from "../host/log-files.ts";
import type { ComputeContext } from "./compute-context.ts";
import { LABELS } from "./records.ts";
import type { RuntimeCache } from "./runtime-cache.ts";
import type { WorkloadFolders } from "./workload-folders.ts";

/** The kubelet's defaults. */
const LOOK_EVERY_MS = 10_000;
const ROTATE_BYTES = 10 * 1024 * 1024;
const FILES = 5;

export interface LogKeeperOptions {
  readonly context: Pick<ComputeContext, "clock" | "logger"> & {
    readonly runtime: Pick<ContainerRuntime, "reopenContainerLog">;
    readonly cache: Pick<RuntimeCache, "containers" | "sandboxes">;
    readonly folders: Pick<WorkloadFolders, "logPath">;
  };
  readonly workload: (id: string) => Workload | undefined;
  readonly rotateBytes?: number;
}

/** Bounds the logs that are kept as files: one of 10 MiB is rotated away, and of a container's files there are five at most. */
export class LogKeeper implements Disposable {
  readonly #options: LogKeeperOptions;
  #timer: Disposable | undefined;
  #closed = false;

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#closed) return;
    this.#timer = this.#options.context.clock.setTimer(LOOK_EVERY_MS, () => void this.look().finally(() => this.start()));
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  /** What cannot be rotated is logged and found again by the next look. */
  async look(): Promise<void> {
    const { cache, folders, logger } = this.#options.context;
    for (const { id, name, attempt, sandboxId, state, labels } of cache.containers()) {
      const spec = this.#options.workload(labels[LABELS.workload] ?? "")?.containers.find((each) => each.name === name);
      const sandbox = cache.sandboxes().find((each) => each.id === sandboxId);
      if (state !== "running" || spec?.log.type !== "file" || sandbox === undefined) continue;
      try {
        await this.#bound(folders.logPath(sandbox.name, name, attempt), id);
      } catch (error) {
        logger.warn("a container's log cannot be rotated; it is tried again in 10 s", { container: name, err: error });
      }
    }
  }

  /** The rename is the intent: a log without a current file is half rotated, and its writer is told to go on in a new one. */
  async #bound(path: string, containerId: string): Promise<void> {
    const { runtime } = this.#options.context;
    const files = await listLogFiles(path);
    const current = files.find((file) => file.path === path);
    if (files.length === 0 || (current !== undefined && current.sizeBytes < (this.#options.rotateBytes ?? ROTATE_BYTES))) return;
    const rotated = files.filter((file) => file !== current);
    if (current !== undefined) await rename(path, nextRotatedPath(path, rotated));
    await runtime.reopenContainerLog?.(containerId);
    // The new one is the fifth.
    const tooMany = files.slice(0, Math.max(0, files.length - (FILES - 1)));
    for (const file of tooMany) await rm(file.path, { force: true });
  }
}
