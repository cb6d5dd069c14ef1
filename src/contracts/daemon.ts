/** A long-running program that outlives Tidegate: containerd, HAProxy, the resolver. */
export interface DaemonSpec {
  /** Unique in the instance, e.g. `containerd`, `haproxy-vpc-0a1b`. */
  readonly name: string;
  /** Absolute program and arguments; stays in the foreground. */
  readonly command: readonly string[];
  /** Runs inside this network namespace. */
  readonly netnsPath?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** stdout and stderr are appended here; beyond 10 MiB the file is put aside as `.1`, at a start or, once a minute, beneath the running daemon. */
  readonly logFile: string;
  /** Resolves true when it serves; polled while starting, and to tell whether an adopted one is well. */
  ready(): Promise<boolean>;
  readonly readyTimeoutMs: number;
  /** Signal for a graceful end; default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Called after each restart that was not asked for, so that the owner re-applies what lived in the daemon's memory. */
  onRestart?(): Promise<void>;
}

export interface Daemon {
  readonly name: string;
  /** `undefined` while it is down. */
  pid(): number | undefined;
  signal(signal: NodeJS.Signals): void;
  /** Ends it for good and forgets it. */
  stop(): Promise<void>;
}

/**
 * Starts daemons detached (own session, own cgroup outside Tidegate's unit), records pid and start time under the run folder, adopts those
 * that still run at the next start, and restarts what dies, with back-off, within 5 s.
 */
export interface DaemonSupervisor {
  /** Starts or adopts; resolves when ready. A changed command replaces the running one. @throws Problem `unavailable` with the log's last lines. */
  ensure(spec: DaemonSpec): Promise<Daemon>;
  list(): readonly { readonly name: string; readonly pid: number | undefined; readonly restarts: number; readonly lastExit?: string }[];
  /** Ends one by name, of an earlier run too, and forgets it; idempotent. For sweeps over `list`, which shows those nobody has asked for yet. */
  stop(name: string): Promise<void>;
  /** Stops watching; the daemons go on. */
  release(): void;
  /** Ends all of the instance's daemons, those of an earlier run too. */
  stopAll(): Promise<void>;
}
