/** What the API has acknowledged, and how to see that it still holds. */
export interface Ledger {
  /** Runs a call and enters what it acknowledged. A call that fails, as one does that is under way at a kill, enters nothing and answers `undefined`. */
  acknowledged<T>(what: string, call: () => Promise<T>, holds: (answer: T) => Promise<unknown>): Promise<T | undefined>;
  /** What was acknowledged and does not hold, in words; `holds` says so by answering false or throwing. */
  lost(): Promise<readonly string[]>;
  /** Entries so far. */
  readonly size: number;
  /** Forgets what was entered, as before something is undone that it holds. */
  clear(): void;
}

export function createLedger(): Ledger {
  const entries: { readonly what: string; readonly holds: () => Promise<unknown> }[] = [];
  let size = 0;
  return {
    async acknowledged(what, call, holds) {
      const answer = await call().then(
        (value) => ({ value }),
        () => undefined,
      );
      if (answer === undefined) return undefined;
      entries.push({ what, holds: () => holds(answer.value) });
      size += 1;
      return answer.value;
    },
    async lost() {
      const judged = await Promise.all(
        entries.map(async ({ what, holds }) => {
          try {
            return (await holds()) === false ? [what] : [];
          } catch (error) {
            return [`${what}: ${String(error)}`];
          }
        }),
      );
      return judged.flat();
    },
    get size() {
      return size;
    },
    clear: () => void (entries.length = 0),
  };
}
