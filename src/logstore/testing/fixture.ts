import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogEvent, LogScope, LogStore } from "../../contracts/log-store.ts";
import type { Store } from "../../contracts/store.ts";
import { FakeClock } from "../../core/clock.ts";
import { seededIds } from "../../core/ids.ts";
import { silentLogger } from "../../core/logger.ts";
import { openLogStore, type LogStoreOptions } from "../log-store.ts";

export const scope: LogScope = { account: "111122223333", region: "us-east-1", group: "/ecs/web" };

/** A log store in a new folder over a given store. */
export interface Fixture {
  readonly clock: FakeClock;
  readonly directory: string;
  readonly logStore: LogStore;
  /** Closes the log store and opens another over the same files, as a restart does. */
  reopen(change?: Partial<LogStoreOptions>): Promise<LogStore>;
  /** Opens another without closing this one, as after a crash. */
  reopenAfterCrash(): Promise<LogStore>;
  close(): Promise<void>;
}

export async function openFixture(store: Store, change: Partial<LogStoreOptions> = {}): Promise<Fixture> {
  const directory = await mkdtemp(join(tmpdir(), "tidegate-logs-"));
  const clock = new FakeClock();
  const options = { directory, store, clock, ids: seededIds("logs"), logger: silentLogger, ...change };
  const opened = [await openLogStore(options)];
  const open = async (more: Partial<LogStoreOptions>): Promise<LogStore> => {
    const logStore = await openLogStore({ ...options, ...more });
    opened.push(logStore);
    return logStore;
  };
  return {
    clock,
    directory,
    logStore: opened[0] as LogStore,
    async reopen(more = {}) {
      await opened.pop()?.close();
      return open(more);
    },
    reopenAfterCrash: () => open({}),
    async close() {
      for (const logStore of opened) await logStore.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** All events of a stream, oldest first, read page by page. */
export async function readAll(logStore: LogStore, stream: string, limit = 10_000): Promise<readonly LogEvent[]> {
  const events: LogEvent[] = [];
  for (let token: string | undefined; ;) {
    const page = await logStore.read(scope, stream, { limit, fromHead: true, token });
    if (page.events.length === 0) return events;
    events.push(...page.events);
    token = page.forwardToken;
  }
}
