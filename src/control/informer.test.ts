import { expect, it } from "vitest";
import { collection, type Change, type Store } from "../contracts/store.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createInformer } from "./informer.ts";

interface Thing {
  readonly tags: readonly string[];
}
const things = collection<Thing>("test.thing");

const put = (store: Store, key: string, ...tags: string[]): Promise<number> =>
  store.transact([{ op: "put", collection: things, key, value: { tags } }]);
const byTag = { tag: (record: { readonly value: Thing }): readonly string[] => record.value.tags };
const keys = (records: readonly { readonly key: string }[]): readonly string[] => records.map((each) => each.key).sort();

it("holds what was there and follows each change, with its indexes", async () => {
  const store = createMemoryStore();
  await put(store, "a", "red", "big");
  await put(store, "b", "red");
  const informer = await createInformer({ store, collection: things, indexes: byTag });
  expect(keys(informer.byIndex("tag", "red"))).toEqual(["a", "b"]);
  await put(store, "a", "blue");
  expect(informer.get("a")?.value.tags).toEqual(["blue"]);
  expect(informer.get("a")).toEqual(await store.get(things, "a"));
  expect(keys(informer.byIndex("tag", "red"))).toEqual(["b"]);
  expect(keys(informer.byIndex("tag", "big"))).toEqual([]);
  await store.transact([{ op: "delete", collection: things, key: "b" }]);
  expect(keys(informer.list())).toEqual(["a"]);
  expect(informer.byIndex("tag", "red")).toEqual([]);
  expect(() => informer.byIndex("size", "1")).toThrow(RangeError);
});

it("misses nothing that changes while it reads the list, in whatever order the two arrive", async () => {
  const store = createMemoryStore();
  await put(store, "gone", "x");
  await put(store, "kept", "x");
  const slow: Store = {
    get: (...args) => store.get(...args),
    watch: (...args) => store.watch(...args),
    transact: (...args) => store.transact(...args),
    close: () => store.close(),
    async list(...args) {
      await put(store, "before-the-read", "y");
      const rows = await store.list(...args);
      await put(store, "after-the-read", "y");
      await store.transact([{ op: "delete", collection: things, key: "gone" }]);
      await put(store, "kept", "z");
      return rows;
    },
  };
  const informer = await createInformer({ store: slow, collection: things, indexes: byTag });
  expect(keys(informer.list())).toEqual(["after-the-read", "before-the-read", "kept"]);
  expect(informer.list().toSorted((a, b) => a.revision - b.revision)).toEqual((await store.list(things)).toSorted((a, b) => a.revision - b.revision));
});

it("tells its listeners after the cache has changed, each of them, until disposed", async () => {
  const store = createMemoryStore();
  const informer = await createInformer({ store, collection: things });
  const seen: (Change<Thing> & { readonly cached: boolean })[] = [];
  informer.changes(() => {
    throw new Error("a listener's own fault");
  });
  const listening = informer.changes((change) => void seen.push({ ...change, cached: informer.get(change.key) !== undefined }));
  await put(store, "a");
  await store.transact([{ op: "delete", collection: things, key: "a" }]);
  listening[Symbol.dispose]();
  await put(store, "b");
  expect(seen.map((each) => [each.key, each.value !== undefined, each.cached])).toEqual([
    ["a", true, true],
    ["a", false, false],
  ]);
  informer[Symbol.dispose]();
  await put(store, "c");
  expect(informer.get("c")).toBeUndefined();
});
