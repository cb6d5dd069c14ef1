import { Problem } from "../core/problem.ts";

export interface AdmissionOptions {
  readonly hostMemoryMiB: number;
  readonly overcommit: number;
  readonly reserveMiB: number;
}

/** Keeps account of the memory that is promised to workloads that have not stopped. */
export class Admission {
  readonly limitMiB: number;
  readonly #promised = new Map<string, number>();
  #sumMiB = 0;

  constructor(options: AdmissionOptions) {
    this.limitMiB = Math.max(0, Math.floor(options.hostMemoryMiB * options.overcommit) - options.reserveMiB);
  }

  /** Promises memory to a new workload. @throws Problem `exhausted` when there is not enough left. */
  admit(id: string, memoryMiB: number): void {
    if (this.#promised.has(id)) return;
    if (this.#sumMiB + memoryMiB > this.limitMiB) {
      throw new Problem(
        "exhausted",
        `capacity is unavailable: workload ${id} wants ${memoryMiB} MiB, and ${this.#sumMiB} of the ${this.limitMiB} MiB that may be promised are taken. Stop something, or let more memory be promised.`,
      );
    }
    this.adopt(id, memoryMiB);
  }

  /** Takes in a workload that was admitted before a restart. */
  adopt(id: string, memoryMiB: number): void {
    if (this.#promised.has(id)) return;
    this.#promised.set(id, memoryMiB);
    this.#sumMiB += memoryMiB;
  }

  /** What is promised now. */
  get promisedMiB(): number {
    return this.#sumMiB;
  }

  release(id: string): void {
    this.#sumMiB -= this.#promised.get(id) ?? 0;
    this.#promised.delete(id);
  }
}
