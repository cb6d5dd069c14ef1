/** One question that is under way, until it is disposed. */
export interface Question extends Disposable {
  /** Whether its answer about `id` is to be taken: none is known that was asked for later. From then on it is the one that is known. */
  isNews(id: string): boolean;
}

/**
 * The order of questions whose answers come in another: an answer that was asked for earlier never overwrites one that was asked for later.
 * Holds what questions that are still under way have to be compared with, and nothing of what was settled before all of them.
 */
export class Questions {
  #last = 0;
  /** Oldest first. */
  readonly #open = new Set<number>();
  /** By id: the number of the newest question whose answer is known. */
  readonly #known = new Map<string, number>();

  /** How many ids are held. */
  get size(): number {
    return this.#known.size;
  }

  ask(): Question {
    const number = ++this.#last;
    this.#open.add(number);
    return {
      isNews: (id) => {
        if ((this.#known.get(id) ?? 0) > number) return false;
        this.#known.set(id, number);
        return true;
      },
      [Symbol.dispose]: () => {
        this.#open.delete(number);
        this.#forget();
      },
    };
  }

  /** Something became known of `id` without a question: answers to those that are under way come too late. */
  settle(id: string): void {
    this.#known.set(id, ++this.#last);
    this.#forget();
  }

  /** No answer that is still to come was asked for before these. */
  #forget(): void {
    const oldest = this.#open.values().next().value ?? Infinity;
    for (const [id, number] of this.#known) if (number < oldest) this.#known.delete(id);
  }
}
