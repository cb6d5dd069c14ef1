import type { LogRecordFormat } from "./workload.ts";

/** Log groups, streams and events: CloudWatch Logs' data. Times are ms since the epoch. */
export interface LogEvent {
  readonly timestampMs: number;
  readonly ingestionMs: number;
  readonly message: string;
  /** Stable and unique in the store; grows within a stream. */
  readonly eventId: string;
}

export interface LogGroupRecord {
  readonly name: string;
  readonly createdAtMs: number;
  readonly retentionDays?: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly storedBytes: number;
}

export interface LogStreamRecord {
  readonly name: string;
  readonly createdAtMs: number;
  readonly firstEventMs?: number;
  readonly lastEventMs?: number;
  readonly lastIngestionMs?: number;
  readonly storedBytes: number;
}

export interface LogScope {
  readonly account: string;
  readonly region: string;
  readonly group: string;
}

export interface ReadOptions {
  readonly startMs?: number;
  /** Exclusive. */
  readonly endMs?: number;
  readonly limit: number;
  /** Opaque position from an earlier answer. */
  readonly token?: string;
  readonly fromHead: boolean;
}

/**
 * Keeps events in append segments per stream. An appended batch is durable when `append` resolves.
 * @see CloudWatch Logs quotas: 1 MiB a batch, 256 KiB an event (longer lines are split by the caller).
 */
export interface LogStore {
  createGroup(scope: LogScope, options: { readonly tags: Readonly<Record<string, string>> }): Promise<void>;
  deleteGroup(scope: LogScope): Promise<void>;
  updateGroup(scope: LogScope, change: { readonly retentionDays?: number | null; readonly tags?: Readonly<Record<string, string>> }): Promise<void>;
  /** One group, without counting what it holds; `undefined` when there is none of that name. */
  getGroup(scope: LogScope): Promise<Omit<LogGroupRecord, "storedBytes"> | undefined>;
  /** Groups of the scope whose names start with `group` (may be empty), in name order. */
  listGroups(scope: LogScope): Promise<readonly LogGroupRecord[]>;
  createStream(scope: LogScope, stream: string): Promise<void>;
  deleteStream(scope: LogScope, stream: string): Promise<void>;
  /** @throws Problem `not-found` when the group is none. */
  listStreams(scope: LogScope, options?: { readonly prefix?: string }): Promise<readonly LogStreamRecord[]>;
  /**
   * Appends in order. With `source`, the position of a tailed log is committed together with the events: a batch whose
   * `from` is not the committed position is refused with Problem `conflict`, so each line lands once.
   */
  append(scope: LogScope, batch: LogBatch): Promise<void>;
  /** The committed position of a source, and the time of the last event of its stream; `undefined` when it has none. */
  position(sourceId: string): Promise<{ readonly at: SourcePosition; readonly lastEventMs?: number } | undefined>;
  read(
    scope: LogScope,
    stream: string,
    options: ReadOptions,
  ): Promise<{ readonly events: readonly LogEvent[]; readonly forwardToken: string; readonly backwardToken: string }>;
  /** Events of several streams, merged by time then stream; `pattern` is CloudWatch's filter pattern. */
  filter(
    scope: LogScope,
    options: FilterOptions,
  ): Promise<{ readonly events: readonly (LogEvent & { readonly stream: string })[]; readonly nextToken?: string }>;
}

export interface LogBatch {
  readonly stream: string;
  readonly events: readonly { readonly timestampMs: number; readonly message: string }[];
  readonly source?: { readonly id: string; readonly from: SourcePosition | undefined; readonly to: SourcePosition };
}

/** Where a reader of a tailed log stands. All files before that one are done with. */
export interface SourcePosition {
  /** What tells the file from the log's others, however they are renamed. */
  readonly file: string;
  /** In bytes. */
  readonly offset: number;
}

export interface FilterOptions {
  readonly streams?: readonly string[];
  readonly streamPrefix?: string;
  readonly startMs?: number;
  readonly endMs?: number;
  readonly pattern?: string;
  readonly limit: number;
  readonly token?: string;
}

/** Ships a container's CRI log file into its stream, and rotates it; survives restarts of both sides. */
export interface LogCollector {
  /** Starts (or goes on) following; idempotent by `source.id`. */
  follow(source: LogSource): Promise<void>;
  /** The container has ended: resolves when all it wrote is in the store. The file may then go. */
  finish(sourceId: string): Promise<void>;
  /** Bytes of the followed files that are not in the store yet, over all sources. */
  lagBytes(): Promise<number>;
  health(): LogCollectorHealth;
}

/** What is to be known of the way from log files into the store. */
export interface LogCollectorHealth {
  /** Bytes of log files that were removed before they could be stored, since the start. */
  readonly droppedBytes: number;
  /** When bytes were last dropped, and of which stream. */
  readonly lastDrop?: { readonly atMs: number; readonly stream: string };
  /** Logs that cannot be read or stored at the moment; they are tried again. */
  readonly failing: readonly { readonly stream: string; readonly sinceMs: number; readonly error: string }[];
}

/** Who writes containers' log files, as far as whoever rotates them has to know. */
export interface LogWriters {
  /** Has the writer of a source's log go on in a new file at the log's path. Does nothing when nobody writes it any more. @throws Problem `unavailable`. */
  reopen(sourceId: string): Promise<void>;
  /** Whether a writer has the file open: it may still grow. */
  holds(file: { readonly device: number; readonly inode: number }): Promise<boolean>;
}

export interface LogSource {
  /** Unique for ever: e.g. `<workload id>/<container>/<attempt>`. */
  readonly id: string;
  /** The CRI log file (lines `<RFC3339Nano> stdout|stderr F|P <text>`); it may not exist yet. */
  readonly path: string;
  readonly scope: LogScope;
  readonly stream: string;
  /** Where lines of standard output go instead. */
  readonly stdoutStream?: string;
  /** Lines of standard error are read and go nowhere. */
  readonly dropsStderr?: boolean;
  /** A group that is not there is made. */
  readonly createsGroup?: boolean;
  /** Of a group that is made. */
  readonly retentionDays?: number;
  /** Others rotate and remove the files. */
  readonly isObserved?: boolean;
  /** What becomes of a line; the line itself where left out. */
  readonly format?: LogRecordFormat;
}
