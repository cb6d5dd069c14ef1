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
   * Appends in order. With `source`, the position of a tailed file is committed together with the events: a batch whose
   * `fromOffset` is not the committed position is refused with Problem `conflict`, so each line lands once.
   */
  append(scope: LogScope, batch: LogBatch): Promise<void>;
  /** The committed position of a source; 0 when it has none. */
  position(sourceId: string): Promise<number>;
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
  readonly source?: { readonly id: string; readonly fromOffset: number; readonly toOffset: number };
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

/** Ships a container's CRI log file into its stream; survives restarts of both sides. */
export interface LogCollector {
  /** Starts (or goes on) following; idempotent by `source.id`. */
  follow(source: LogSource): Promise<void>;
  /** The container has ended: resolves when all it wrote is in the store. The file may then go. */
  finish(sourceId: string): Promise<void>;
  /** Bytes of the followed files that are not in the store yet, over all sources. */
  lagBytes(): Promise<number>;
}

export interface LogSource {
  /** Unique for ever: e.g. `<workload id>/<container>/<attempt>`. */
  readonly id: string;
  /** The CRI log file (lines `<RFC3339Nano> stdout|stderr F|P <text>`); it may not exist yet. */
  readonly path: string;
  readonly scope: LogScope;
  readonly stream: string;
}
