import type { Clock } from "../core/clock.ts";
import type { StatusReport } from "../core/status-report.ts";

/** A sync takes a few ms. Above this the control plane stands still for long enough to be felt: see docs/adr/0012. */
const SLOW_SECONDS = 0.5;
const LOOK_BACK_MS = 60_000;
/** One slow commit is a hiccup. */
const WORRYING_COMMITS = 3;

/** Whether writes to the database wait for the disk: of the commits in the last minute, several were slow, and no fewer than were not. */
export class CommitWatch {
  readonly #clock: Pick<Clock, "nowMs">;
  #recent: { readonly atMs: number; readonly seconds: number }[] = [];

  constructor(clock: Pick<Clock, "nowMs">) {
    this.#clock = clock;
  }

  observe(seconds: number): void {
    this.#forget();
    this.#recent.push({ atMs: this.#clock.nowMs(), seconds });
  }

  check(): StatusReport["checks"][number] {
    this.#forget();
    const slow = this.#recent.filter((commit) => commit.seconds > SLOW_SECONDS);
    const longest = slow.reduce((most, commit) => Math.max(most, commit.seconds), 0);
    const ok = slow.length < WORRYING_COMMITS || slow.length * 2 < this.#recent.length;
    const detail = ok
      ? "commits are quick"
      : `the disk is slow: ${slow.length} of ${this.#recent.length} commits in the last minute took longer than ${SLOW_SECONDS} s ` +
        `(the longest ${longest.toFixed(1)} s), and every request waits meanwhile`;
    return { name: "database", ok, detail };
  }

  #forget(): void {
    const sinceMs = this.#clock.nowMs() - LOOK_BACK_MS;
    const first = this.#recent.findIndex((commit) => commit.atMs >= sinceMs);
    if (first !== 0) this.#recent = first < 0 ? [] : this.#recent.slice(first);
  }
}
