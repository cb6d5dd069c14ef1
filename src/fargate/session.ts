import type { ImageInfo } from "../contracts/container-runtime.ts";
import type { Complaint, NetworkStatus, StartFailure, StopReason, WorkloadStatus } from "../contracts/engine.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { Effects } from "./effects.ts";
import { hasReached } from "./lifecycle.ts";
import type { PlacementRecord, WorkloadRecord } from "./records.ts";

/** An attempt that did not run. `text`: in the words of ECS. */
export interface FailedStart extends StartFailure {
  readonly attempt: number;
  readonly text: string;
  readonly atMs: number;
}

export interface FailedHook {
  readonly attempt: number;
  readonly complaint: Complaint;
}

/** What this process knows of a workload beyond the store: what is under way, and what came of it. All of it can be found out again. */
export class Session {
  readonly id: string;
  readonly effects: Effects;
  /** The sandbox, the address and the files are there, and the limits are set. */
  provisioned: boolean;
  readonly hooksDone: Record<"prestart" | "poststart" | "prestop" | "stop", boolean>;
  deprovisioned = false;
  network: NetworkStatus | undefined;
  connectivityAtMs: number | undefined;
  pullStartedAtMs: number | undefined;
  pullStoppedAtMs: number | undefined;
  /** By container name. */
  readonly images = new Map<string, ImageInfo>();
  readonly startFailures = new Map<string, FailedStart>();
  readonly hookFailures = new Map<string, FailedHook>();
  /** By container name: the seconds that it was given to end. */
  readonly stopsWithin = new Map<string, number>();
  readonly stopSentAtMs = new Map<string, number>();
  readonly streaks = new Map<string, number>();
  /** After a restart of Tidegate: ids of the containers whose logs are still to be followed again; `undefined` until they are looked up. */
  unfollowed: Set<string> | undefined;
  /** The end that an effect brought about. */
  failure: StopReason | undefined;
  #marks: { readonly phase: string; readonly atMs: number }[] = [];
  readonly #clock: Clock;

  constructor(
    status: WorkloadStatus,
    options: { readonly clock: Clock; readonly logger: Logger; readonly wake: () => void; readonly signal: AbortSignal },
  ) {
    this.id = status.id;
    this.#clock = options.clock;
    this.effects = new Effects({ ...options, logger: options.logger.child({ taskId: status.id }) });
    // What must have been done before the stored state could be reached.
    this.provisioned = hasReached(status.state, "ACTIVATING");
    this.hooksDone = {
      prestart: hasReached(status.state, "ACTIVATING"),
      poststart: hasReached(status.state, "RUNNING"),
      prestop: hasReached(status.state, "STOPPING"),
      stop: false,
    };
    this.network = status.network;
    if (!hasReached(status.state, "PENDING")) this.unfollowed = new Set();
  }

  /** Notes a step for the timeline. */
  mark(phase: string): void {
    this.#marks.push({ phase, atMs: this.#clock.nowMs() });
  }

  /** As they are now: more may come while these are being written. */
  marks(): readonly { readonly phase: string; readonly atMs: number }[] {
    return [...this.#marks];
  }

  marksWritten(count: number): void {
    this.#marks = this.#marks.slice(count);
  }
}

/** One workload in the middle of a reconcile. */
export interface Unit {
  readonly record: WorkloadRecord;
  readonly status: WorkloadStatus;
  readonly placement: PlacementRecord;
  readonly session: Session;
}
