import type { ListOptions, Stored } from "../../contracts/store.ts";
import { compareUtf8 } from "../keys.ts";

/** Records by key, listed in the order of their keys' UTF-8 bytes. */
export class SortedRows {
  readonly #rows = new Map<string, Stored<unknown>>();
  readonly #keys: string[] = [];

  get(key: string): Stored<unknown> | undefined {
    return this.#rows.get(key);
  }

  set(row: Stored<unknown>): void {
    if (!this.#rows.has(row.key)) this.#keys.splice(this.#indexOf(row.key), 0, row.key);
    this.#rows.set(row.key, row);
  }

  delete(key: string): void {
    if (this.#rows.delete(key)) this.#keys.splice(this.#indexOf(key), 1);
  }

  list({ prefix = "", after, limit = Infinity }: ListOptions): readonly Stored<unknown>[] {
    const found: Stored<unknown>[] = [];
    let at = this.#indexOf(prefix);
    if (after !== undefined) {
      const next = this.#indexOf(after);
      at = Math.max(at, this.#keys[next] === after ? next + 1 : next);
    }
    for (; at < this.#keys.length && found.length < limit; at++) {
      const row = this.#rows.get(this.#keys[at] ?? "");
      if (row === undefined || !row.key.startsWith(prefix)) break;
      found.push(row);
    }
    return found;
  }

  /** Where `key` is, or would be inserted. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareUtf8(this.#keys[middle] ?? "", key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
