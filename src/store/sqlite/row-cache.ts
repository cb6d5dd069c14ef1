import type { Stored } from "../../contracts/store.ts";

/**
 * Parsed rows by collection and key, so that reading an unchanged record does not parse it again. An entry counts only for the revision it
 * was made of. Holds about `maxCharacters` of JSON, the least recently used goes first.
 */
export class RowCache {
  readonly #rows = new Map<string, { readonly row: Stored<unknown>; readonly size: number }>();
  readonly #maxCharacters: number;
  #characters = 0;

  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
  }

  get(collection: string, key: string, revision: number): Stored<unknown> | undefined {
    const name = `${collection}\0${key}`;
    const entry = this.#rows.get(name);
    if (entry === undefined || entry.row.revision !== revision) return undefined;
    this.#rows.delete(name);
    this.#rows.set(name, entry);
    return entry.row;
  }

  set(collection: string, row: Stored<unknown>, size: number): void {
    const name = `${collection}\0${row.key}`;
    this.#drop(name);
    this.#rows.set(name, { row, size });
    this.#characters += size;
    while (this.#characters > this.#maxCharacters) {
      const oldest = this.#rows.keys().next();
      if (oldest.done) break;
      this.#drop(oldest.value);
    }
  }

  #drop(name: string): void {
    this.#characters -= this.#rows.get(name)?.size ?? 0;
    this.#rows.delete(name);
  }
}
