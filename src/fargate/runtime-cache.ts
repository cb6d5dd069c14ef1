import type { ContainerRuntime, RuntimeContainer, Sandbox } from "../contracts/container-runtime.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { Questions } from "./questions.ts";

export interface RuntimeCacheOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A sandbox, or a container in it, has changed or gone. */
  readonly changed: (sandbox: Sandbox) => void;
  /** Everything may have changed. */
  readonly resynced: () => void;
}

const RETRY_MS = 1000;

/**
 * What the runtime runs, in memory: one list at the start and at each resync, then one look per event. An answer that was asked for
 * earlier never overwrites one that was asked for later.
 */
export class RuntimeCache {
  readonly #options: RuntimeCacheOptions;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #byName = new Map<string, string>();
  readonly #containers = new Map<string, RuntimeContainer>();
  readonly #bySandbox = new Map<string, Set<string>>();
  readonly #questions = new Questions();
  #watch: Disposable | undefined;
  #resyncing: Promise<void> | undefined;
  #resyncAgain = false;
  #retry: Disposable | undefined;
  #closed = false;

  constructor(options: RuntimeCacheOptions) {
    this.#options = options;
  }

  /** Watches, then lists, so that nothing falls between. @throws what the runtime's lists throw. */
  async start(): Promise<void> {
    this.#watch = this.#options.runtime.watch((event) => {
      if (event.type === "resync") this.#resyncSoon();
      else if (event.type === "sandbox") this.#quietly(this.refreshSandbox(event.sandboxId));
      else this.#quietly(this.refreshContainer(event.containerId));
    });
    await this.#list();
  }

  close(): void {
    this.#closed = true;
    this.#watch?.[Symbol.dispose]();
    this.#retry?.[Symbol.dispose]();
  }

  sandboxes(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  containers(): readonly RuntimeContainer[] {
    return [...this.#containers.values()];
  }

  sandboxNamed(name: string): Sandbox | undefined {
    return this.#sandboxes.get(this.#byName.get(name) ?? "");
  }

  containersOf(sandboxId: string): readonly RuntimeContainer[] {
    return [...(this.#bySandbox.get(sandboxId) ?? [])].flatMap((id) => this.#containers.get(id) ?? []);
  }

  /** Takes in a sandbox that was just made. */
  put(sandbox: Sandbox): void {
    this.#questions.settle(sandbox.id);
    this.#setSandbox(sandbox);
  }

  /** Forgets what was just removed. */
  forgetSandbox(id: string): void {
    this.#questions.settle(id);
    this.#dropSandbox(id);
  }

  async refreshSandbox(id: string): Promise<void> {
    const { runtime } = this.#options;
    if (runtime.inspectSandbox === undefined) return this.resync();
    using question = this.#questions.ask();
    const sandbox = await runtime.inspectSandbox(id);
    if (!question.isNews(id)) return;
    const before = this.#sandboxes.get(id);
    if (sandbox === undefined) this.#dropSandbox(id);
    else this.#setSandbox(sandbox);
    const told = sandbox ?? before;
    if (told !== undefined) this.#options.changed(told);
  }

  async refreshContainer(id: string): Promise<void> {
    const { runtime } = this.#options;
    if (runtime.inspectContainer === undefined) return this.resync();
    using question = this.#questions.ask();
    const container = await runtime.inspectContainer(id);
    if (!question.isNews(id)) return;
    const sandboxId = container?.sandboxId ?? this.#containers.get(id)?.sandboxId;
    if (container === undefined) this.#dropContainer(id);
    else this.#setContainer(container);
    const sandbox = this.#sandboxes.get(sandboxId ?? "");
    if (sandbox !== undefined) this.#options.changed(sandbox);
  }

  /** Lists everything again. Calls that come while a list runs share the one after it. */
  async resync(): Promise<void> {
    if (this.#resyncing !== undefined) {
      this.#resyncAgain = true;
      return this.#resyncing;
    }
    this.#resyncing = this.#resyncUntilCalm().finally(() => {
      this.#resyncing = undefined;
    });
    return this.#resyncing;
  }

  async #resyncUntilCalm(): Promise<void> {
    do {
      this.#resyncAgain = false;
      await this.#list();
    } while (this.#resyncAgain);
    this.#options.resynced();
  }

  async #list(): Promise<void> {
    const { runtime } = this.#options;
    using question = this.#questions.ask();
    const [sandboxes, containers] = await Promise.all([runtime.listSandboxes(), runtime.listContainers()]);
    for (const sandbox of sandboxes) if (question.isNews(sandbox.id)) this.#setSandbox(sandbox);
    for (const container of containers) if (question.isNews(container.id)) this.#setContainer(container);
    const there = new Set([...sandboxes, ...containers].map(({ id }) => id));
    for (const id of Array.from(this.#containers.keys())) if (!there.has(id) && question.isNews(id)) this.#dropContainer(id);
    for (const id of Array.from(this.#sandboxes.keys())) if (!there.has(id) && question.isNews(id)) this.#dropSandbox(id);
  }

  #resyncSoon(): void {
    this.#retry?.[Symbol.dispose]();
    this.resync().catch((error: unknown) => {
      if (this.#closed) return;
      this.#options.logger.warn("the runtime could not be listed; it will be tried again", { err: error });
      this.#retry = this.#options.clock.setTimer(RETRY_MS, () => this.#resyncSoon());
    });
  }

  /** An event whose look failed is made good by a resync. */
  #quietly(look: Promise<void>): void {
    look.catch(() => {
      if (!this.#closed) this.#resyncSoon();
    });
  }

  #setSandbox(sandbox: Sandbox): void {
    this.#sandboxes.set(sandbox.id, sandbox);
    const named = this.sandboxNamed(sandbox.name);
    // A dead one must not hide the living one of the same name.
    if (named === undefined || !named.ready || sandbox.ready) this.#byName.set(sandbox.name, sandbox.id);
  }

  #dropSandbox(id: string): void {
    const sandbox = this.#sandboxes.get(id);
    this.#sandboxes.delete(id);
    for (const container of this.#bySandbox.get(id) ?? []) this.#containers.delete(container);
    this.#bySandbox.delete(id);
    if (sandbox !== undefined && this.#byName.get(sandbox.name) === id) this.#byName.delete(sandbox.name);
  }

  #setContainer(container: RuntimeContainer): void {
    this.#containers.set(container.id, container);
    this.#bySandbox.set(container.sandboxId, (this.#bySandbox.get(container.sandboxId) ?? new Set()).add(container.id));
  }

  #dropContainer(id: string): void {
    const container = this.#containers.get(id);
    this.#containers.delete(id);
    const siblings = this.#bySandbox.get(container?.sandboxId ?? "");
    siblings?.delete(id);
    if (container !== undefined && siblings?.size === 0) this.#bySandbox.delete(container.sandboxId);
  }
}
