import { expect, it } from "vitest";
import { collection, type Change, type Store, type Write } from "../contracts/store.ts";
import type { ProblemKind } from "../core/problem.ts";

interface Thing {
  readonly name: string;
  readonly parts?: readonly { readonly size: number }[];
}

const things = collection<Thing>("test.thing");
const others = collection<Thing>("test.other");

/** The suite that every Store passes. Call it inside a `describe`; `open` makes an empty store each time. */
export function storeConformance(open: () => Promise<Store>): void {
  const using = (run: (store: Store) => Promise<void>) => async (): Promise<void> => {
    const store = await open();
    try {
      await run(store);
    } finally {
      await store.close();
    }
  };
  writes(using);
  reading(using);
  watching(using);
}

type Using = (run: (store: Store) => Promise<void>) => () => Promise<void>;

function refuses(kind: ProblemKind, words: RegExp): object {
  return expect.objectContaining({ name: "Problem", kind, message: expect.stringMatching(words) as string }) as object;
}

const create = (key: string, name = key): Write<Thing> => ({ op: "create", collection: things, key, value: { name } });

function writes(using: Using): void {
  it(
    "creates, reads, updates and deletes, with a revision that grows",
    using(async (store) => {
      const first = await store.transact([create("a")]);
      expect(first).toBeGreaterThan(0);
      expect(await store.get(things, "a")).toEqual({ key: "a", value: { name: "a" }, revision: first });
      const second = await store.transact([{ op: "update", collection: things, key: "a", value: { name: "b" }, ifRevision: first }]);
      expect(second).toBeGreaterThan(first);
      expect(await store.get(things, "a")).toEqual({ key: "a", value: { name: "b" }, revision: second });
      await store.transact([{ op: "delete", collection: things, key: "a", ifRevision: second }]);
      expect(await store.get(things, "a")).toBeUndefined();
    }),
  );

  it(
    "keeps collections apart and put creates or replaces",
    using(async (store) => {
      await store.transact([{ op: "put", collection: things, key: "k", value: { name: "1" } }]);
      await store.transact([{ op: "put", collection: others, key: "k", value: { name: "2" } }]);
      await store.transact([{ op: "put", collection: things, key: "k", value: { name: "3" } }]);
      expect((await store.get(things, "k"))?.value.name).toBe("3");
      expect((await store.get(others, "k"))?.value.name).toBe("2");
    }),
  );

  it(
    "refuses what its guards forbid, naming collection and key",
    using(async (store) => {
      const revision = await store.transact([create("a")]);
      await expect(store.transact([create("a")])).rejects.toEqual(refuses("already-exists", /test\.thing\/a/));
      const stale = { op: "update", collection: things, key: "a", value: { name: "x" }, ifRevision: revision + 7 } as const;
      await expect(store.transact([stale])).rejects.toEqual(refuses("conflict", /test\.thing\/a/));
      await expect(store.transact([{ op: "delete", collection: things, key: "a", ifRevision: 0 }])).rejects.toEqual(refuses("conflict", /a/));
      await expect(store.transact([{ op: "update", collection: things, key: "b", value: { name: "x" } }])).rejects.toEqual(refuses("not-found", /b/));
      await expect(store.transact([{ op: "delete", collection: things, key: "b" }])).rejects.toEqual(refuses("not-found", /b/));
      await expect(store.transact([{ ...create(""), key: "" }])).rejects.toEqual(refuses("invalid", /key/));
      expect((await store.get(things, "a"))?.value.name).toBe("a");
    }),
  );

  it(
    "applies a batch whole or not at all, under one revision",
    using(async (store) => {
      await store.transact([create("there")]);
      await expect(store.transact([create("new"), { op: "delete", collection: things, key: "there" }, create("new")])).rejects.toEqual(
        refuses("already-exists", /new/),
      );
      expect((await store.list(things)).map((each) => each.key)).toEqual(["there"]);
      const revision = await store.transact([create("x"), create("y")]);
      expect((await store.list(things)).filter((each) => each.revision === revision).map((each) => each.key)).toEqual(["x", "y"]);
    }),
  );

  it(
    "lets each of many batches made at once succeed or fail alone, in order",
    using(async (store) => {
      const calls = Array.from({ length: 50 }, (_, index) => store.transact([create(`k${index % 40}`)]));
      const results = await Promise.allSettled(calls);
      expect(results.map((each) => each.status === "fulfilled")).toEqual(results.map((_, index) => index < 40));
      const revisions = results.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
      expect(new Set(revisions).size).toBe(40);
      expect(await store.list(things)).toHaveLength(40);
    }),
  );

  it(
    "takes the value as it was when transact was called, and hands out what nobody can change for others",
    using(async (store) => {
      const value = { name: "before", parts: [{ size: 1 }] };
      const done = store.transact([{ op: "create", collection: things, key: "a", value }]);
      value.name = "after";
      await done;
      const read = await store.get(things, "a");
      expect(read?.value.name).toBe("before");
      try {
        Object.assign(read?.value.parts?.[0] ?? {}, { size: 9 });
      } catch {
        // frozen: just as good
      }
      expect((await store.get(things, "a"))?.value.parts).toEqual([{ size: 1 }]);
    }),
  );

  it(
    "refuses work after close",
    using(async (store) => {
      await store.close();
      await expect(store.transact([create("a")])).rejects.toEqual(refuses("unavailable", /closed/));
      await expect(store.get(things, "a")).rejects.toEqual(refuses("unavailable", /closed/));
    }),
  );
}

function reading(using: Using): void {
  const keys = ["a", "a/1", "a/2", "a/\uffee", "a/\u{1F600}", "a/\u{10FFFF}", "a0", "b", "é", "\u{1F600}"];

  it(
    "lists in the order of UTF-8 bytes, by prefix, after a key, with a limit",
    using(async (store) => {
      await store.transact([...keys].reverse().map((key) => create(key)));
      const listed = async (options?: Parameters<Store["list"]>[1]): Promise<readonly string[]> =>
        (await store.list(things, options)).map((each) => each.key);
      const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await listed()).toEqual(sorted);
      expect(await listed({ prefix: "a/" })).toEqual(sorted.filter((key) => key.startsWith("a/")));
      expect(await listed({ prefix: "a/\u{10FFFF}" })).toEqual(["a/\u{10FFFF}"]);
      expect(await listed({ prefix: "a/", after: "a/1", limit: 1 })).toEqual(["a/2"]);
      expect(await listed({ after: "a/11", limit: 2 })).toEqual(["a/2", "a/\uffee"]);
      expect(await listed({ prefix: "b", after: "a" })).toEqual(["b"]);
      expect(await listed({ prefix: "zz" })).toEqual([]);
      expect(await listed({ limit: 0 })).toEqual([]);
    }),
  );
}

function watching(using: Using): void {
  it(
    "tells watchers of each change after the commit, in order, with what was before",
    using(async (store) => {
      const seen: Change<Thing>[] = [];
      let inside = false;
      await store.transact([create("early")]);
      store.watch(things, (change) => {
        expect(inside).toBe(false);
        seen.push(change);
      });
      inside = true;
      const calls = [
        store.transact([create("a"), create("b")]),
        store.transact([create("a")]),
        store.transact([{ op: "put", collection: others, key: "o", value: { name: "o" } }]),
        store.transact([{ op: "update", collection: things, key: "a", value: { name: "A" } }]),
        store.transact([{ op: "delete", collection: things, key: "b" }]),
      ];
      inside = false;
      const results = await Promise.allSettled(calls);
      const revisions = results.map((each) => (each.status === "fulfilled" ? each.value : 0));
      expect(seen).toEqual([
        { collection: "test.thing", key: "a", value: { name: "a" }, previous: undefined, revision: revisions[0] },
        { collection: "test.thing", key: "b", value: { name: "b" }, previous: undefined, revision: revisions[0] },
        { collection: "test.thing", key: "a", value: { name: "A" }, previous: { name: "a" }, revision: revisions[3] },
        { collection: "test.thing", key: "b", value: undefined, previous: { name: "b" }, revision: revisions[4] },
      ]);
    }),
  );

  it(
    "goes on when a listener throws, and is silent after dispose",
    using(async (store) => {
      const seen: string[] = [];
      store.watch(things, () => {
        throw new Error("a listener's own fault");
      });
      const watch = store.watch(things, (change) => void seen.push(change.key));
      await store.transact([create("a")]);
      watch[Symbol.dispose]();
      await store.transact([create("b")]);
      expect(seen).toEqual(["a"]);
    }),
  );

  it(
    "lets a listener write, and tells of that write afterwards",
    using(async (store) => {
      const seen: string[] = [];
      const done = new Promise<void>((resolve) => {
        store.watch(things, (change) => {
          seen.push(change.key);
          if (change.key === "a") void store.transact([create("from-listener")]);
          if (change.key === "from-listener") resolve();
        });
      });
      await Promise.all([store.transact([create("a")]), store.transact([create("b")])]);
      await done;
      expect(seen).toEqual(["a", "b", "from-listener"]);
    }),
  );
}
