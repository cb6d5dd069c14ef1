import { chmod, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type {
  FilterOptions,
  LogBatch,
  LogEvent,
  LogGroupRecord,
  LogScope,
  LogStore,
  LogStreamRecord,
  ReadOptions,
  SourcePosition,
} from "../contracts/log-store.ts";
import type { Store, Stored } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { isProblem, messageOf, Problem } from "../core/problem.ts";
import { scopePrefix } from "../core/scope.ts";
import { makeFolder } from "../host/files.ts";
import { compileFilterPattern } from "./filter-pattern.ts";
import { EVENT_OVERHEAD_BYTES } from "./frames.ts";
import { Gate } from "./gate.ts";
import { mergeEvents, type MergeOptions, type Place, type PlacedEvent, type Run } from "./merge-events.ts";
import { OpenStreams } from "./open-streams.ts";
import { formatEventId, formatFilterToken, formatReadToken, parseFilterToken, parseReadToken } from "./places.ts";
import { groupKey, groupKeyOfStream, groups, sources, streamKey, streamPrefix, streams, type GroupRecord, type StreamRecord } from "./records.ts";
import { planCap } from "./plan-cap.ts";
import { readEntry } from "./segment.ts";
import { StreamFile } from "./stream-file.ts";
import { measureSegments } from "./usage.ts";

export interface LogStoreOptions {
  /** Holds a folder for each stream. */
  readonly directory: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  /** Default 8 MiB. */
  readonly segmentBytes?: number;
  /** A stream's oldest segments go beyond this; default 1 GiB. */
  readonly maxStreamBytes?: number;
  /** Beyond this the largest group's oldest segments go; default a tenth of the disk, 32 GiB at most. */
  readonly maxStoreBytes?: number;
}

const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 3_600_000;
/** After the store has grown by a segment, until it is measured: one look for much growth. */
const MEASURE_AFTER_MS = 10_000;
const MOST_BYTES = 32 * 1024 ** 3;
/** A page of events is at most about this large. */
const PAGE_BYTES = 1024 * 1024;
/** A filter looks at no more than this for one page, so that a rare pattern does not hold a request for ever. */
const SCAN_EVENTS = 200_000;

/**
 * Opens the log store, sweeps what a crash left of deleted groups and streams, and starts the hourly retention sweep.
 * Differs: a stream keeps at most `maxStreamBytes`, all together `maxStoreBytes`; CloudWatch keeps all.
 */
export async function openLogStore(options: LogStoreOptions): Promise<LogStore & { close(): Promise<void> }> {
  const logStore = new FileLogStore(options);
  await logStore.start();
  return logStore;
}

class FileLogStore implements LogStore {
  readonly #options: LogStoreOptions;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #files: OpenStreams;
  /** Syncs share four threads with all other file work of the process: they get half. */
  readonly #syncGate = new Gate(2);
  #sweepTimer: Disposable | undefined;
  #measureTimer: Disposable | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: LogStoreOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger.child({ room: "logstore" });
    this.#files = new OpenStreams({ load: (streamId) => this.#load(streamId), clock: options.clock, logger: this.#logger });
  }

  async start(): Promise<void> {
    await makeFolder(this.#options.directory);
    await chmod(this.#options.directory, 0o700);
    await this.#sweepOrphans();
    this.#scheduleSweep();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#sweepTimer?.[Symbol.dispose]();
    this.#measureTimer?.[Symbol.dispose]();
    await this.#sweeping;
    await this.#files.close();
  }

  async createGroup(scope: LogScope, { tags }: { readonly tags: Readonly<Record<string, string>> }): Promise<void> {
    const value: GroupRecord = { name: scope.group, createdAtMs: this.#clock.nowMs(), tags };
    await this.#store.transact([{ op: "create", collection: groups, key: groupKey(scope), value }]);
  }

  /** The group goes first, so that a crash leaves streams that nobody can reach and the next start sweeps. */
  async deleteGroup(scope: LogScope): Promise<void> {
    await this.#group(scope);
    await this.#store.transact([{ op: "delete", collection: groups, key: groupKey(scope) }]);
    for (const stream of await this.#store.list(streams, { prefix: streamPrefix(scope) })) await this.#removeStream(stream);
  }

  async updateGroup(
    scope: LogScope,
    change: { readonly retentionDays?: number | null; readonly tags?: Readonly<Record<string, string>> },
  ): Promise<void> {
    for (;;) {
      const { value: group, revision } = await this.#group(scope);
      const retentionDays = change.retentionDays === undefined ? group.retentionDays : (change.retentionDays ?? undefined);
      const value: GroupRecord = { ...group, retentionDays, tags: change.tags ?? group.tags };
      try {
        await this.#store.transact([{ op: "update", collection: groups, key: groupKey(scope), value, ifRevision: revision }]);
        return;
      } catch (error) {
        if (!isProblem(error, "conflict", "not-found")) throw error;
      }
    }
  }

  async getGroup(scope: LogScope): Promise<Omit<LogGroupRecord, "storedBytes"> | undefined> {
    return (await this.#store.get(groups, groupKey(scope)))?.value;
  }

  async listGroups(scope: LogScope): Promise<readonly LogGroupRecord[]> {
    const found = await this.#store.list(groups, { prefix: scopePrefix(scope) + scope.group });
    const withBytes = async ({ value }: Stored<GroupRecord>): Promise<LogGroupRecord> => {
      const members = await this.listStreams({ ...scope, group: value.name }).catch(() => []);
      return { ...value, storedBytes: members.reduce((sum, stream) => sum + stream.storedBytes, 0) };
    };
    return Promise.all(found.map(withBytes));
  }

  async createStream(scope: LogScope, stream: string): Promise<void> {
    await this.#group(scope);
    // Not by a write: where it is there already, a full disk changes nothing.
    if ((await this.#store.get(streams, streamKey(scope, stream))) !== undefined) throw new Problem("already-exists", `log stream ${stream} exists`);
    const value: StreamRecord = { id: this.#options.ids.hex(32), name: stream, createdAtMs: this.#clock.nowMs() };
    await this.#store.transact([{ op: "create", collection: streams, key: streamKey(scope, stream), value }]);
    // The group may have been deleted meanwhile, and its streams swept before this one was there.
    try {
      await this.#group(scope);
    } catch (error) {
      await this.deleteStream(scope, stream).catch(() => {});
      throw error;
    }
  }

  async deleteStream(scope: LogScope, stream: string): Promise<void> {
    await this.#removeStream(await this.#stream(scope, stream));
  }

  async listStreams(scope: LogScope, options: { readonly prefix?: string } = {}): Promise<readonly LogStreamRecord[]> {
    await this.#group(scope);
    const found = await this.#store.list(streams, { prefix: streamPrefix(scope) + (options.prefix ?? "") });
    return Promise.all(found.map(({ value }) => this.#files.use(value.id, (file) => describeStream(value, file))));
  }

  async append(scope: LogScope, batch: LogBatch): Promise<void> {
    const { value: stream } = await this.#stream(scope, batch.stream);
    if (batch.events.length === 0 && batch.source === undefined) return;
    const { source } = batch;
    await this.#files.use(stream.id, async (file) => {
      if (source !== undefined && !file.hasSource(source.id)) {
        await this.#store.transact([{ op: "put", collection: sources, key: source.id, value: { streamId: stream.id } }]);
      }
      await file.append(batch, this.#clock.nowMs());
    });
  }

  async position(sourceId: string): Promise<{ readonly at: SourcePosition; readonly lastEventMs?: number } | undefined> {
    const [source] = await this.#sourceRecords(sourceId);
    if (source === undefined) return undefined;
    return this.#files.use(source.value.streamId, async (file) => {
      const at = await file.position(sourceId);
      return at && { at, lastEventMs: file.entries().at(-1)?.maxMs };
    });
  }

  /** Earlier versions kept a record for each file of a source, as `<source>@<file>`. */
  async #sourceRecords(sourceId: string): Promise<readonly Stored<{ readonly streamId: string }>[]> {
    const own = await this.#store.get(sources, sourceId);
    return own === undefined ? this.#store.list(sources, { prefix: `${sourceId}@` }) : [own];
  }

  async read(
    scope: LogScope,
    stream: string,
    options: ReadOptions,
  ): Promise<{ readonly events: readonly LogEvent[]; readonly forwardToken: string; readonly backwardToken: string }> {
    const { value: group } = await this.#group(scope);
    const { value: record } = await this.#stream(scope, stream);
    const token = options.token === undefined ? undefined : parseReadToken(options.token);
    const descending = token === undefined ? !options.fromHead : !token.forward;
    const bounds = this.#bounds(group, options);
    const from = token && { timestampMs: token.timestampMs, stream: record.name, sequence: token.sequence };
    const page: PlacedEvent[] = [];
    let bytes = 0;
    for await (const event of mergeEvents(await this.#runs(record), { ...bounds, descending, from })) {
      bytes += sizeOf(event);
      if (page.length > 0 && bytes > PAGE_BYTES) break;
      page.push(event);
      if (page.length >= options.limit) break;
    }
    if (descending) page.reverse();
    const [first, last] = [page[0], page.at(-1)];
    const nowhere = from ?? { timestampMs: Math.max(0, bounds.startMs), sequence: 0 };
    const end = last === undefined ? nowhere : { timestampMs: last.timestampMs, sequence: last.sequence + 1 };
    return {
      events: page.map(toLogEvent),
      forwardToken: formatReadToken({ forward: true, timestampMs: end.timestampMs, sequence: end.sequence }),
      backwardToken: formatReadToken({ forward: false, timestampMs: (first ?? nowhere).timestampMs, sequence: (first ?? nowhere).sequence }),
    };
  }

  async filter(
    scope: LogScope,
    options: FilterOptions,
  ): Promise<{ readonly events: readonly (LogEvent & { readonly stream: string })[]; readonly nextToken?: string }> {
    const passes = compileFilterPattern(options.pattern ?? "");
    const { value: group } = await this.#group(scope);
    const from = options.token === undefined ? undefined : parseFilterToken(options.token);
    const runs = (await Promise.all((await this.#chosenStreams(scope, options)).map((stream) => this.#runs(stream)))).flat();
    const events: (LogEvent & { readonly stream: string })[] = [];
    let bytes = 0;
    let scanned = 0;
    for await (const event of mergeEvents(runs, { ...this.#bounds(group, options), descending: false, from })) {
      const place: Place = { timestampMs: event.timestampMs, stream: event.stream, sequence: event.sequence };
      // Full only when there is something after it: no token leads to an empty last page.
      if (events.length >= options.limit || bytes > PAGE_BYTES || scanned >= SCAN_EVENTS) return { events, nextToken: formatFilterToken(place) };
      scanned++;
      if (!passes(event.message)) continue;
      bytes += sizeOf(event);
      events.push({ ...toLogEvent(event), stream: event.stream });
    }
    return { events };
  }

  async #chosenStreams(scope: LogScope, { streams: names, streamPrefix: prefix = "" }: FilterOptions): Promise<readonly StreamRecord[]> {
    if (names !== undefined) {
      const chosen = await Promise.all([...new Set(names)].map((name) => this.#stream(scope, name)));
      return chosen.map((each) => each.value);
    }
    return (await this.#store.list(streams, { prefix: streamPrefix(scope) + prefix })).map((each) => each.value);
  }

  #bounds(
    group: GroupRecord,
    { startMs = 0, endMs = Infinity }: { readonly startMs?: number; readonly endMs?: number },
  ): Pick<MergeOptions, "startMs" | "endMs"> {
    return { startMs: Math.max(startMs, expiryMs(group, this.#clock.nowMs()) ?? 0), endMs };
  }

  async #runs(stream: StreamRecord): Promise<readonly Run[]> {
    const entries = await this.#files.use(stream.id, (file) => file.entries());
    return entries.map((entry) => ({ ...entry, stream: stream.name, streamId: stream.id, read: () => readEntry(entry.path, entry) }));
  }

  async #group(scope: LogScope): Promise<Stored<GroupRecord>> {
    const group = await this.#store.get(groups, groupKey(scope));
    if (group === undefined) throw new Problem("not-found", `log group ${scope.group} does not exist in ${scope.account}/${scope.region}`);
    return group;
  }

  async #stream(scope: LogScope, stream: string): Promise<Stored<StreamRecord>> {
    const found = await this.#store.get(streams, streamKey(scope, stream));
    if (found !== undefined) return found;
    await this.#group(scope);
    throw new Problem("not-found", `log stream ${stream} does not exist in log group ${scope.group}`);
  }

  #load(streamId: string): Promise<StreamFile> {
    return StreamFile.load({
      folder: join(this.#options.directory, streamId),
      segmentBytes: this.#options.segmentBytes ?? 8 * 1024 * 1024,
      maxStreamBytes: this.#options.maxStreamBytes ?? 1024 * 1024 * 1024,
      syncGate: this.#syncGate,
      onGrown: () => this.#measureSoon(),
      onCut: (removedBytes) => this.#logger.warn("a log stream reached its cap; its oldest events were removed", { key: streamId, removedBytes }),
    });
  }

  async #removeStream({ key, value }: Stored<StreamRecord>): Promise<void> {
    const gone = (error: unknown): void => {
      if (!isProblem(error, "not-found")) throw error;
    };
    await this.#store.transact([{ op: "delete", collection: streams, key }]).catch(gone);
    await this.#files.use(value.id, async (file) => {
      for (const id of file.sourceIds()) {
        for (const source of await this.#sourceRecords(id))
          await this.#store.transact([{ op: "delete", collection: sources, key: source.key }]).catch(gone);
      }
      await file.delete();
      this.#files.forget(value.id);
    });
  }

  async #sweepOrphans(): Promise<void> {
    const known = new Set<string>();
    const groupKeys = new Set((await this.#store.list(groups)).map((group) => group.key));
    for (const stream of await this.#store.list(streams)) {
      if (groupKeys.has(groupKeyOfStream(stream.key))) known.add(stream.value.id);
      else await this.#removeStream(stream);
    }
    for (const name of await readdir(this.#options.directory)) {
      if (/^[0-9a-f]{32}$/.test(name) && !known.has(name)) await rm(join(this.#options.directory, name), { recursive: true, force: true });
    }
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.#clock.setTimer(SWEEP_EVERY_MS, () => {
      this.#sweep(() => this.#sweepExpired());
      this.#sweep(() => this.#cutToCap());
      this.#scheduleSweep();
    });
  }

  #measureSoon(): void {
    if (this.#closed) return;
    this.#measureTimer ??= this.#clock.setTimer(MEASURE_AFTER_MS, () => {
      this.#measureTimer = undefined;
      this.#sweep(() => this.#cutToCap());
    });
  }

  /** One after the other. */
  #sweep(task: () => Promise<void>): void {
    this.#sweeping = this.#sweeping
      .then(task)
      .catch((error: unknown) => this.#logger.error("a sweep of the log store failed", { err: messageOf(error) }));
  }

  async #cutToCap(): Promise<void> {
    const { directory } = this.#options;
    const maxBytes = this.#options.maxStoreBytes ?? Math.min(MOST_BYTES, (await sizeOfDisk(directory)) / 10);
    const doomed = planCap(await measureSegments(directory, await this.#store.list(streams)), maxBytes);
    for (const [streamId, segments] of Map.groupBy(doomed, (segment) => segment.streamId)) {
      const paths = new Set(segments.map((segment) => segment.path));
      const removedBytes = await this.#files.visit(streamId, (file) => file.removeSegments(paths));
      const group = segments[0]?.group;
      this.#logger.warn("the log store reached its cap; the oldest events of its largest group were removed", { key: group, streamId, removedBytes });
    }
  }

  async #sweepExpired(): Promise<void> {
    for (const group of await this.#store.list(groups)) {
      const beforeMs = expiryMs(group.value, this.#clock.nowMs());
      if (beforeMs === undefined) continue;
      for (const stream of await this.#store.list(streams, { prefix: `${group.key}:` })) {
        await this.#files.visit(stream.value.id, (file) => file.removeBefore(beforeMs));
      }
    }
  }
}

/** Events before this have expired; `undefined` when the group keeps them for ever. */
function expiryMs(group: GroupRecord, nowMs: number): number | undefined {
  return group.retentionDays === undefined ? undefined : nowMs - group.retentionDays * DAY_MS;
}

function describeStream(record: StreamRecord, file: StreamFile): LogStreamRecord {
  const entries = file.entries();
  const { name, createdAtMs } = record;
  const storedBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  if (entries.length === 0) return { name, createdAtMs, storedBytes };
  const firstEventMs = entries.reduce((least, entry) => Math.min(least, entry.minMs), Infinity);
  const lastEventMs = entries.reduce((most, entry) => Math.max(most, entry.maxMs), -Infinity);
  return { name, createdAtMs, firstEventMs, lastEventMs, lastIngestionMs: file.lastIngestionMs, storedBytes };
}

function sizeOf(event: PlacedEvent): number {
  return Buffer.byteLength(event.message) + EVENT_OVERHEAD_BYTES;
}

function toLogEvent({ timestampMs, ingestionMs, message, streamId, sequence }: PlacedEvent): LogEvent {
  return { timestampMs, ingestionMs, message, eventId: formatEventId(streamId, sequence) };
}

async function sizeOfDisk(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(path);
  return blocks * bsize;
}
