import { join } from "node:path";
import type { ContainerRuntime, Sandbox, SandboxSpec } from "../contracts/container-runtime.ts";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { Limiter } from "./limiter.ts";
import { LABELS } from "./records.ts";
import type { RuntimeCache } from "./runtime-cache.ts";

export interface SandboxPoolOptions {
  readonly config: Pick<InstanceConfig, "instanceId" | "dataDir">;
  readonly runtime: ContainerRuntime;
  readonly cache: RuntimeCache;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly limiter: Limiter;
  /** Ready sandboxes kept for each runtime handler. */
  readonly size: number;
}

const WARM_ROLE = "warm";
/** A claim's own launch goes first: refilling waits until the launches are done, at most a few times this. */
const REFILL_DELAY_MS = 300;

interface Kind {
  readonly runtimeHandler: string;
  readonly sharePidNamespace: boolean;
}

/**
 * Ready sandboxes that belong to nobody yet. Whose a sandbox is, the store says: it is claimed when a placement names it, and a sandbox
 * that no placement names is adopted at the next start. Labels cannot change, so all sandboxes are labelled alike.
 */
export class SandboxPool {
  readonly #options: SandboxPoolOptions;
  readonly #warm = new Map<string, string>();
  readonly #making = new Map<string, string>();
  /** Given out to workloads that are being stored. */
  readonly #taken = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #handlers = new Set<string>();
  #timer: Disposable | undefined;
  #closed = true;

  constructor(options: SandboxPoolOptions) {
    this.#options = options;
  }

  /** Ready sandboxes that nobody has taken. */
  get warm(): number {
    return this.#warm.size;
  }

  /** What a sandbox of this name is made with, warm or not. */
  specOf(name: string, kind: Kind): SandboxSpec {
    const { config } = this.#options;
    return {
      name,
      runtimeHandler: kind.runtimeHandler,
      cgroupParent: cgroupParentOf(config.instanceId, name),
      logDirectory: join(config.dataDir, "sandboxes", name),
      sharePidNamespace: kind.sharePidNamespace,
      labels: {
        [LABELS.instance]: config.instanceId,
        [LABELS.role]: WARM_ROLE,
        "tidegate.runtime-handler": kind.runtimeHandler,
        "tidegate.share-pid": String(kind.sharePidNamespace),
      },
    };
  }

  /** The name of a sandbox for a new workload: a warm one's, which is then no longer the pool's, or one that is still to be made. */
  take(kind: Kind): string {
    const name = this.#warmOrNew(kind);
    this.#taken.add(name);
    return name;
  }

  #warmOrNew(kind: Kind): string {
    if (!this.#closed && !kind.sharePidNamespace && !this.#handlers.has(kind.runtimeHandler)) this.#handlers.add(kind.runtimeHandler);
    this.#refillSoon();
    for (const [name, handler] of this.#warm) {
      if (handler !== kind.runtimeHandler || kind.sharePidNamespace) continue;
      this.#warm.delete(name);
      if (this.#options.cache.sandboxNamed(name)?.ready === true) return name;
      // It died unseen: the sweep of the next change takes it away.
      this.#remove(name);
    }
    return this.#newName();
  }

  /** A placement names it now: it is the pool's business no more. */
  claimed(name: string): void {
    this.#taken.delete(name);
  }

  /** Sandboxes that a sweep must leave alone though no placement names them. */
  names(): readonly string[] {
    return [...this.#warm.keys(), ...this.#making.keys(), ...this.#taken];
  }

  /** Gives back a name from `take` whose claim was never stored. */
  giveBack(name: string, kind: Kind): void {
    this.#taken.delete(name);
    if (this.#options.cache.sandboxNamed(name)?.ready === true) this.#warm.set(name, kind.runtimeHandler);
  }

  /** A sandbox may be taken in after a restart: it is ours, alone, and was made by a pool. */
  adopts(sandbox: Sandbox): boolean {
    const { labels } = sandbox;
    return (
      sandbox.ready &&
      labels[LABELS.role] === WARM_ROLE &&
      labels["tidegate.share-pid"] === "false" &&
      labels["tidegate.runtime-handler"] !== undefined
    );
  }

  adopt(sandbox: Sandbox): void {
    this.#warm.set(sandbox.name, sandbox.labels["tidegate.runtime-handler"] ?? "");
  }

  /** Starts to fill up, for these handlers and each other that is asked for. */
  start(handlers: readonly string[]): void {
    this.#closed = false;
    for (const handler of handlers) this.#handlers.add(handler);
    this.#refillSoon();
  }

  /** A sandbox changed: one of the pool's that is no longer ready is replaced. */
  check(sandbox: Sandbox): void {
    if (!this.#warm.has(sandbox.name) || this.#options.cache.sandboxNamed(sandbox.name)?.ready === true) return;
    this.#warm.delete(sandbox.name);
    this.#remove(sandbox.name);
    this.#refillSoon();
  }

  checkAll(): void {
    for (const name of Array.from(this.#warm.keys())) {
      if (this.#options.cache.sandboxNamed(name)?.ready === true) continue;
      this.#warm.delete(name);
      this.#remove(name);
    }
    this.#refillSoon();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** Resolves when nothing is being made any more; after `close` nothing new is. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #refillSoon(): void {
    if (this.#closed || this.#timer !== undefined || this.#options.size === 0) return;
    this.#timer = this.#options.clock.setTimer(REFILL_DELAY_MS, () => {
      this.#timer = undefined;
      if (!this.#options.limiter.idle) return this.#refillSoon();
      this.#refill();
    });
  }

  #refill(): void {
    for (const handler of this.#handlers) {
      const have = [...this.#warm.values(), ...this.#making.values()].filter((each) => each === handler).length;
      for (let missing = this.#options.size - have; missing > 0; missing--) this.#launch(handler);
    }
  }

  #launch(handler: string): void {
    const making = this.#make(handler).finally(() => this.#underWay.delete(making));
    this.#underWay.add(making);
  }

  async #make(handler: string): Promise<void> {
    const { runtime, cache, limiter, logger, clock } = this.#options;
    const name = this.#newName();
    this.#making.set(name, handler);
    try {
      const sandbox = await limiter.run(() => runtime.createSandbox(this.specOf(name, { runtimeHandler: handler, sharePidNamespace: false })));
      cache.put(sandbox);
      if (!this.#closed) this.#warm.set(name, handler);
    } catch (error) {
      if (this.#closed) return;
      logger.warn("a warm sandbox could not be made; it will be tried again in 10 s", { err: error });
      this.#timer ??= clock.setTimer(10_000, () => {
        this.#timer = undefined;
        this.#refillSoon();
      });
    } finally {
      this.#making.delete(name);
    }
  }

  #remove(name: string): void {
    const { cache, runtime, config, logger } = this.#options;
    const sandbox = cache.sandboxNamed(name);
    const work = async (): Promise<void> => {
      if (sandbox !== undefined) {
        await runtime.stopSandbox(sandbox.id);
        await runtime.removeSandbox(sandbox.id);
        cache.forgetSandbox(sandbox.id);
      }
      await runtime.removeGroup(cgroupParentOf(config.instanceId, name));
    };
    work().catch((error: unknown) =>
      logger.warn("a dead warm sandbox could not be removed; the sweep of the next start will", { sandbox: name, err: error }),
    );
  }

  #newName(): string {
    const { config, ids } = this.#options;
    return `tidegate-${config.instanceId}-${ids.hex(12)}`;
  }
}

/** The cgroup that holds a sandbox and all its containers. */
export function cgroupParentOf(instanceId: string, sandboxName: string): string {
  return `/tidegate-${instanceId}/${sandboxName}`;
}
