import type { Engine } from "../../contracts/engine.ts";
import type { Store } from "../../contracts/store.ts";
import type { Clock } from "../../core/clock.ts";
import { isProblem } from "../../core/problem.ts";
import { compileWorkload } from "./compile-workload.ts";
import { taskDefinitionKey, taskDefinitions, tasks } from "./records.ts";
import { requestStop } from "./request-stop.ts";

/** `exhausted`: there was no room and the task's record is gone again. `failed`: the engine refused it for good, it is asked to stop. */
export type LaunchOutcome = "started" | "exhausted" | "failed";

export interface TaskLauncherOptions {
  readonly store: Store;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly runtimeHandler: string;
}

/**
 * Hands stored tasks to the engine. One launch of a task at a time: an operation and the task controller that meet at one share the outcome.
 */
export class TaskLauncher {
  readonly #options: TaskLauncherOptions;
  readonly #flying = new Map<string, Promise<LaunchOutcome>>();

  constructor(options: TaskLauncherOptions) {
    this.#options = options;
  }

  /** Idempotent. A task whose record is gone answers `exhausted`: nothing else removes one that never ran. */
  launch(key: string): Promise<LaunchOutcome> {
    const flying = this.#flying.get(key);
    if (flying !== undefined) return flying;
    const launch = this.#launch(key).finally(() => this.#flying.delete(key));
    this.#flying.set(key, launch);
    return launch;
  }

  async #launch(key: string): Promise<LaunchOutcome> {
    const { store, engine, runtimeHandler } = this.#options;
    const stored = await store.get(tasks, key);
    if (stored === undefined) return "exhausted";
    const task = stored.value;
    if (task.desiredStatus === "STOPPED") return "started";
    const definition = await store.get(taskDefinitions, taskDefinitionKey(task, task.family, task.revision));
    if (definition === undefined) return this.#fail(key, "InternalError: the task definition is gone");
    try {
      await engine.start(compileWorkload(task, definition.value, { runtimeHandler }));
      return "started";
    } catch (error) {
      if (isProblem(error, "exhausted")) return this.#remove(key);
      if (isProblem(error, "invalid", "unsupported", "not-found")) return this.#fail(key, error.message);
      throw error;
    }
  }

  async #remove(key: string): Promise<LaunchOutcome> {
    try {
      await this.#options.store.transact([{ op: "delete", collection: tasks, key }]);
    } catch (error) {
      if (!isProblem(error, "not-found")) throw error;
    }
    return "exhausted";
  }

  async #fail(key: string, reason: string): Promise<LaunchOutcome> {
    await requestStop(this.#options, key, { code: "TaskFailedToStart", reason });
    return "failed";
  }
}
