/** The calls that have containerd make something, in the order in which they began. */
export class CallsUnderWay {
  #begun = 0;
  readonly #open = new Set<number>();

  /** How many have begun so far: the number of the newest. */
  get begun(): number {
    return this.#begun;
  }

  /** The number of the oldest that is not over; of the next one when there is none. */
  get oldest(): number {
    return this.#open.values().next().value ?? this.#begun + 1;
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    const number = ++this.#begun;
    this.#open.add(number);
    try {
      return await call();
    } finally {
      this.#open.delete(number);
    }
  }
}
