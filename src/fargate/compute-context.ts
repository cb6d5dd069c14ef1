import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { LogCollector } from "../contracts/log-store.ts";
import type { Network } from "../contracts/network.ts";
import type { Store } from "../contracts/store.ts";
import type { TaskHook } from "../contracts/task-hook.ts";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Logger } from "../core/logger.ts";
import type { PresentTimes } from "../core/present-times.ts";
import type { Limiter } from "./limiter.ts";
import type { ImageResolver } from "./ports.ts";
import type { RuntimeCache } from "./runtime-cache.ts";
import type { SandboxPool } from "./sandbox-pool.ts";
import type { SandboxTuner } from "./sandbox-tuner.ts";
import type { WorkloadFolders } from "./workload-folders.ts";

/** What the steps of a workload's life work with. */
export interface ComputeContext {
  readonly config: Pick<InstanceConfig, "instanceId" | "dataDir" | "trustHostCa">;
  readonly store: Store;
  readonly clock: Clock;
  /** Stored times, as they compare with the clock's now. */
  readonly times: PresentTimes;
  readonly logger: Logger;
  readonly runtime: ContainerRuntime;
  readonly network: Network;
  readonly logs: LogCollector;
  readonly images: ImageResolver;
  readonly cache: RuntimeCache;
  readonly pool: SandboxPool;
  readonly folders: WorkloadFolders;
  readonly tuner: SandboxTuner;
  /** Bounds sandboxes and containers that are being made and started. */
  readonly limiter: Limiter;
  readonly hooks: ReadonlyMap<string, TaskHook>;
  /** The host's CA bundle, where containers are to trust it. */
  readonly hostCaPath?: string;
  /** A static init that becomes PID 1 of containers that ask for one. */
  readonly initProgram: string;
  /** How many processes and threads the host can have. */
  readonly hostProcesses: number;
  readonly signal: AbortSignal;
}
