import type { Engine } from "../../contracts/engine.ts";
import type { Toolbox } from "../../contracts/service.ts";
import type { Store } from "../../contracts/store.ts";
import type { PresentTimes } from "../../core/present-times.ts";
import type { EcsPorts } from "./ports.ts";
import type { TaskIndex } from "./task-index.ts";
import type { TaskLauncher } from "./task-launcher.ts";

export interface EcsConfig {
  /** Passed to the engine with every workload; default `runc`. */
  readonly runtimeHandler?: string;
  /** How long stopped tasks, INACTIVE services and clusters stay visible; default one hour. */
  readonly keepStoppedMs?: number;
}

/** What the parts of this service share. */
export interface Room extends Toolbox {
  readonly store: Store;
  /** Stored times, as they compare with the clock's now. */
  readonly times: PresentTimes;
  readonly engine: Engine;
  readonly ports: EcsPorts;
  readonly tasks: TaskIndex;
  readonly launcher: TaskLauncher;
  readonly runtimeHandler: string;
  readonly keepStoppedMs: number;
}
