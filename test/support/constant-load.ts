import { until } from "./instance.ts";

/** What clients that never pause got. */
export interface ConstantLoad extends AsyncDisposable {
  readonly failures: readonly string[];
  answered(): number;
  /** The distinct answers since the last call. */
  answers(): ReadonlySet<string>;
}

/** Four clients that ask without pause, each request on a connection of its own. */
export function constantLoad(url: string): ConstantLoad {
  const failures: string[] = [];
  let answered = 0;
  let seen = new Set<string>();
  const ending = new AbortController();
  const client = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        const response = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(10_000) });
        const text = await response.text();
        if (response.status === 200) seen.add(text.trim());
        else failures.push(`${response.status} ${text.slice(0, 100)}`);
      } catch (error) {
        failures.push(`${(error as Error).message}: ${String((error as Error).cause)}`);
      }
      answered += 1;
    }
  };
  const clients = Promise.all([client(), client(), client(), client()]);
  return {
    failures,
    answered: () => answered,
    answers() {
      const answers = seen;
      seen = new Set();
      return answers;
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await clients;
    },
  };
}

/** Waits until so many more requests have been answered. */
export async function more(load: ConstantLoad, count: number): Promise<void> {
  const before = load.answered();
  await until(`${count} more requests are answered`, async () => load.answered() >= before + count);
}
