import type { StoredEvent } from "./frames.ts";

/** A place in the order of events: by time, then stream, then sequence in the stream. It stands just before the event it names. */
export interface Place {
  readonly timestampMs: number;
  readonly stream: string;
  readonly sequence: number;
}

export interface PlacedEvent extends StoredEvent {
  readonly stream: string;
  /** Of the stream, for event ids. */
  readonly streamId: string;
}

/** A run of events that is read only when its turn comes. */
export interface Run {
  readonly stream: string;
  readonly streamId: string;
  readonly minMs: number;
  readonly maxMs: number;
  readonly firstSequence: number;
  readonly count: number;
  read(): Promise<readonly StoredEvent[]>;
}

export interface MergeOptions {
  readonly descending: boolean;
  readonly startMs: number;
  /** Exclusive. */
  readonly endMs: number;
  /** Ascending: only events at or after it. Descending: only events before it. */
  readonly from?: Place;
}

export function comparePlaces(a: Place, b: Place): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.sequence - b.sequence;
}

interface Cursor {
  /** Nothing in the cursor comes before it. */
  bound: Place;
  readonly run: Run;
  /** In order; undefined until read. */
  events: readonly PlacedEvent[] | undefined;
  next: number;
}

/** The events of many runs in order, whatever order they were written in. Holds only the runs that overlap in time. */
export async function* mergeEvents(runs: readonly Run[], options: MergeOptions): AsyncGenerator<PlacedEvent> {
  const sign = options.descending ? -1 : 1;
  const compare = (a: Place, b: Place): number => sign * comparePlaces(a, b);
  const wanted = (event: PlacedEvent): boolean => {
    if (event.timestampMs < options.startMs || event.timestampMs >= options.endMs) return false;
    if (options.from === undefined) return true;
    return options.descending ? comparePlaces(event, options.from) < 0 : comparePlaces(event, options.from) >= 0;
  };
  const heap = new Heap<Cursor>((a, b) => compare(a.bound, b.bound));
  for (const run of runs) if (mayHold(run, options)) heap.push({ bound: boundOf(run, options.descending), run, events: undefined, next: 0 });
  for (let cursor = heap.pop(); cursor !== undefined; cursor = heap.pop()) {
    if (cursor.events === undefined) {
      const { run } = cursor;
      const { stream, streamId } = run;
      cursor.events = (await run.read())
        .map((event) => ({ ...event, stream, streamId }))
        .filter(wanted)
        .sort(compare);
    } else {
      yield cursor.events[cursor.next++] as PlacedEvent;
    }
    const head = cursor.events[cursor.next];
    if (head !== undefined) {
      cursor.bound = head;
      heap.push(cursor);
    }
  }
}

function mayHold(run: Run, { startMs, endMs, from, descending }: MergeOptions): boolean {
  if (run.maxMs < startMs || run.minMs >= endMs) return false;
  if (from === undefined) return true;
  return descending ? run.minMs <= from.timestampMs : run.maxMs >= from.timestampMs;
}

function boundOf(run: Run, descending: boolean): Place {
  const { stream } = run;
  if (descending) return { timestampMs: run.maxMs, stream, sequence: run.firstSequence + run.count };
  return { timestampMs: run.minMs, stream, sequence: run.firstSequence };
}

class Heap<T> {
  readonly #items: T[] = [];
  readonly #compare: (a: T, b: T) => number;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(items[at] as T, items[parent] as T) >= 0) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return top;
    items[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      if (left >= items.length) return top;
      const right = left + 1;
      const child = right < items.length && this.#compare(items[right] as T, items[left] as T) < 0 ? right : left;
      if (this.#compare(items[child] as T, items[at] as T) >= 0) return top;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    const items = this.#items;
    [items[a], items[b]] = [items[b] as T, items[a] as T];
  }
}
