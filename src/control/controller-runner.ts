import type { Controller } from "../contracts/controller.ts";
import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { WorkQueue } from "./work-queue.ts";

const DEFAULT_CONCURRENCY = 8;

export interface ControllerRunnerOptions {
  readonly store: Store;
  readonly controllers: readonly Controller[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a controller is doing, for `/metrics` and for people. */
export interface ControllerState {
  readonly name: string;
  readonly ready: number;
  readonly running: number;
  readonly delayed: number;
  /** Since the runner was made. */
  readonly reconciles: number;
  readonly errors: number;
  /** Keys whose last reconcile threw. */
  readonly failing: readonly { readonly key: string; readonly failures: number; readonly lastError: string }[];
}

export interface ControllerRunner {
  /** Watches, then queues every key that exists, then works. Resolves when the keys are queued. */
  start(): Promise<void>;
  /** Takes no more work and resolves when the running reconciles have ended. Nothing is lost: the next start queues every key. */
  stop(): Promise<void>;
  /** Queues a key for a reason that no watch sees. @throws Problem `not-found` when there is no such controller. */
  wake(controllerName: string, key: string): void;
  state(): readonly ControllerState[];
}

/**
 * Runs controllers over one store. They wake on changes, on `wake` and on the delays they ask for themselves; nothing polls, and an idle
 * runner has no timer. A reconcile that throws is tried again after 100 ms, doubling up to 30 s, until it succeeds.
 */
export function createControllerRunner(options: ControllerRunnerOptions): ControllerRunner {
  const loops = new Map(options.controllers.map((controller) => [controller.name, new ControllerLoop(controller, options)]));
  if (loops.size !== options.controllers.length) throw new Problem("invalid", "two controllers have the same name");
  const all = [...loops.values()];
  return {
    async start() {
      for (const loop of all) loop.watch();
      await Promise.all(all.map((loop) => loop.queueAll()));
      for (const loop of all) loop.work();
    },
    async stop() {
      await Promise.all(all.map((loop) => loop.stop()));
    },
    wake(controllerName, key) {
      const loop = loops.get(controllerName);
      if (loop === undefined) throw new Problem("not-found", `there is no controller ${controllerName}`);
      loop.queue.add(key);
    },
    state: () => all.map((loop) => loop.state()),
  };
}

class ControllerLoop {
  readonly queue: WorkQueue;
  readonly #controller: Controller;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #watches: Disposable[] = [];
  readonly #workers: Promise<void>[] = [];
  readonly #lastErrors = new Map<string, string>();
  #reconciles = 0;
  #errors = 0;

  constructor(controller: Controller, { store, clock, logger }: ControllerRunnerOptions) {
    this.#controller = controller;
    this.#store = store;
    this.#logger = logger.child({ room: "control", controller: controller.name });
    this.queue = new WorkQueue({ clock });
  }

  watch(): void {
    for (const watch of this.#controller.watches) {
      const listen = this.#store.watch(watch.collection, (change) => {
        for (const key of watch.keysOf(change)) this.queue.add(key);
      });
      this.#watches.push(listen);
    }
    const sources = this.#controller.sources?.((key) => this.queue.add(key));
    if (sources !== undefined) this.#watches.push(sources);
  }

  async queueAll(): Promise<void> {
    for (const key of await this.#controller.initialKeys()) this.queue.add(key);
  }

  work(): void {
    for (let worker = 0; worker < (this.#controller.concurrency ?? DEFAULT_CONCURRENCY); worker++) this.#workers.push(this.#workUntilClosed());
  }

  async stop(): Promise<void> {
    for (const watch of this.#watches.splice(0)) watch[Symbol.dispose]();
    this.queue.close();
    await Promise.all(this.#workers.splice(0));
  }

  state(): ControllerState {
    const { failures, ...counts } = this.queue.state();
    const failing = [...failures].map(([key, count]) => ({ key, failures: count, lastError: this.#lastErrors.get(key) ?? "" }));
    return { name: this.#controller.name, ...counts, reconciles: this.#reconciles, errors: this.#errors, failing };
  }

  async #workUntilClosed(): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      await this.#reconcile(key);
      this.queue.done(key);
    }
  }

  async #reconcile(key: string): Promise<void> {
    this.#reconciles++;
    try {
      const result = await this.#controller.reconcile(key);
      this.queue.forget(key);
      this.#lastErrors.delete(key);
      if (result?.requeueAfterMs !== undefined) this.queue.addAfter(key, result.requeueAfterMs);
    } catch (error) {
      this.#errors++;
      this.#lastErrors.set(key, messageOf(error));
      const retryInMs = this.queue.addAfterFailure(key);
      this.#logger.warn("a reconcile failed; it will be tried again", { key, retryInMs, err: error });
    }
  }
}
