import { afterEach, expect, it, vi } from "vitest";
import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import { collection, type Store } from "../contracts/store.ts";
import { FakeClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createControllerRunner, type ControllerRunner } from "./controller-runner.ts";

const things = collection<{ readonly owner: string }>("test.thing");

const runners: ControllerRunner[] = [];
afterEach(async () => {
  for (const runner of runners.splice(0)) await runner.stop();
});

interface Setup {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly runner: ControllerRunner;
}

function setUp(reconcile: (key: string) => Promise<ReconcileResult | void>, more: Partial<Controller> = {}): Setup {
  const store = createMemoryStore();
  const clock = new FakeClock();
  const controller: Controller = {
    name: "thing",
    watches: [{ collection: things, keysOf: (change) => [change.key] }],
    initialKeys: async () => (await store.list(things)).map((each) => each.key),
    reconcile,
    ...more,
  };
  const runner = createControllerRunner({ store, controllers: [controller], clock, logger: silentLogger });
  runners.push(runner);
  return { store, clock, runner };
}

const put = (store: Store, key: string): Promise<number> => store.transact([{ op: "put", collection: things, key, value: { owner: key } }]);

it("reconciles all that exists at start, then what changes, then what is woken", async () => {
  const seen: string[] = [];
  const { store, clock, runner } = setUp(async (key) => void seen.push(key));
  await put(store, "a");
  await put(store, "b");
  await runner.start();
  await clock.advance(0);
  expect(seen.splice(0).sort()).toEqual(["a", "b"]);
  await put(store, "c");
  await clock.advance(0);
  expect(seen.splice(0)).toEqual(["c"]);
  runner.wake("thing", "elsewhere");
  await clock.advance(0);
  expect(seen.splice(0)).toEqual(["elsewhere"]);
  expect(() => runner.wake("nobody", "a")).toThrow(/nobody/);
});

it("wakes the keys that a change of another collection concerns", async () => {
  const seen: string[] = [];
  const { store, clock, runner } = setUp(async (key) => void seen.push(key), {
    watches: [{ collection: things, keysOf: (change) => [(change.value ?? change.previous)?.owner ?? "", "all"] }],
  });
  await runner.start();
  await put(store, "x");
  await store.transact([{ op: "delete", collection: things, key: "x" }]);
  await clock.advance(0);
  expect(new Set(seen)).toEqual(new Set(["x", "all"]));
});

it("misses no change that is made while the keys are listed", async () => {
  const seen: string[] = [];
  const setup = setUp(async (key) => void seen.push(key), {
    initialKeys: async () => {
      await put(setup.store, "during");
      return [];
    },
  });
  await setup.runner.start();
  await setup.clock.advance(0);
  expect(seen).toEqual(["during"]);
});

it("works on several keys at once up to its concurrency, and never on one twice at once", async () => {
  let running = 0;
  let most = 0;
  const inWork = new Set<string>();
  const seen: string[] = [];
  const { clock, runner } = setUp(
    async (key) => {
      expect(inWork.has(key)).toBe(false);
      inWork.add(key);
      most = Math.max(most, ++running);
      await clock.sleep(100);
      running--;
      inWork.delete(key);
      seen.push(key);
    },
    { concurrency: 3 },
  );
  await runner.start();
  for (const key of ["a", "b", "c", "d", "e"]) runner.wake("thing", key);
  await clock.advance(50);
  runner.wake("thing", "a");
  runner.wake("thing", "a");
  await clock.advance(1_000);
  expect(most).toBe(3);
  expect(seen.toSorted()).toEqual(["a", "a", "b", "c", "d", "e"]);
});

it("tries again after a failure with back-off until it succeeds, and shows what fails", async () => {
  let failures = 4;
  const atMs: number[] = [];
  const { clock, runner } = setUp(async () => {
    atMs.push(clock.nowMs());
    if (failures-- > 0) throw new Error("not yet");
  });
  const startMs = clock.nowMs();
  await runner.start();
  runner.wake("thing", "a");
  await clock.advance(250);
  expect(runner.state()[0]).toMatchObject({ errors: 2, failing: [{ key: "a", failures: 2, lastError: "not yet" }] });
  await clock.advance(60_000);
  expect(atMs.map((each) => each - startMs)).toEqual([0, 100, 300, 700, 1_500]);
  expect(runner.state()[0]).toMatchObject({ reconciles: 5, errors: 4, failing: [] });
});

it("comes back after the delay that a reconcile asks for", async () => {
  const atMs: number[] = [];
  const { clock, runner } = setUp(async () => {
    atMs.push(clock.nowMs());
    return { requeueAfterMs: 20_000 };
  });
  const startMs = clock.nowMs();
  await runner.start();
  runner.wake("thing", "a");
  await clock.advance(45_000);
  expect(atMs.map((each) => each - startMs)).toEqual([0, 20_000, 40_000]);
});

it("has no timer while it is idle: nothing polls", async () => {
  const { store, clock, runner } = setUp(async () => {});
  await runner.start();
  for (let key = 0; key < 100; key++) await put(store, `k${key}`);
  await clock.advance(0);
  expect(runner.state()[0]).toMatchObject({ reconciles: 100, ready: 0, running: 0 });
  expect(clock.pendingDelaysMs().filter((delayMs) => delayMs < 10_000)).toEqual([]);
  const reconcilesBefore = runner.state()[0]?.reconciles;
  await clock.advance(3_600_000);
  expect(runner.state()[0]?.reconciles).toBe(reconcilesBefore);
});

it("stops when the running reconciles have ended and takes no more", async () => {
  const gate = Promise.withResolvers<void>();
  const seen: string[] = [];
  const { store, clock, runner } = setUp(async (key) => {
    await gate.promise;
    seen.push(key);
  });
  await runner.start();
  await put(store, "a");
  await clock.advance(0);
  const stopped = vi.fn<() => void>();
  const stopping = runner.stop().then(stopped);
  await put(store, "b");
  await clock.advance(0);
  expect(stopped).not.toHaveBeenCalled();
  gate.resolve();
  await stopping;
  await clock.advance(60_000);
  expect(seen).toEqual(["a"]);
});

it("wakes on the controller's own sources until it is stopped", async () => {
  const seen: string[] = [];
  let wake: (key: string) => void = () => {};
  const disposed = vi.fn<() => void>();
  const clock = new FakeClock();
  const controller: Controller = {
    name: "thing",
    watches: [],
    sources(call) {
      wake = call;
      return { [Symbol.dispose]: disposed };
    },
    initialKeys: async () => [],
    reconcile: async (key) => void seen.push(key),
  };
  const runner = createControllerRunner({ store: createMemoryStore(), controllers: [controller], clock, logger: silentLogger });
  await runner.start();
  wake("a");
  await clock.advance(0);
  expect(seen).toEqual(["a"]);
  await runner.stop();
  expect(disposed).toHaveBeenCalledOnce();
});
