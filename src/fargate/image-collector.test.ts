import { expect, it } from "vitest";
import type { RuntimeImage } from "../contracts/container-runtime.ts";
import { silentLogger } from "../core/logger.ts";
import { ImageCollector, planCollection } from "./image-collector.ts";

function image(id: string, more: Partial<RuntimeImage> = {}): RuntimeImage {
  return { id, names: [`app/${id}:1`], digests: [`sha256:${id}`], sizeBytes: 10, inUse: false, idleMs: 1_000, ...more };
}

it("takes what was idle longest first, and nothing that is in use, held, deployed or fresh", () => {
  const images = [
    image("old", { idleMs: 9_000 }),
    image("oldest", { idleMs: 10_000 }),
    image("used", { inUse: true, idleMs: 99_000 }),
    image("held", { idleMs: 99_000 }),
    image("deployed", { idleMs: 99_000 }),
    image("fresh", { idleMs: 10 }),
  ];
  const use = { needed: new Set(["sha256:deployed"]), held: new Set(["held"]), minimumIdleMs: 1_000 };
  expect(planCollection(images, use).map(({ id }) => id)).toEqual(["oldest", "old"]);
});

it("stops when there is room enough, and spares what is held only since the list was made", async () => {
  const removed: string[] = [];
  const held = new Set<string>();
  const runtime = {
    listImages: async () => [image("a", { idleMs: 4 }), image("b", { idleMs: 3 }), image("c", { idleMs: 2 }), image("d", { idleMs: 1 })],
    removeImage: async (id: string) => {
      removed.push(id);
      held.add("b");
      return true;
    },
  };
  const collector = new ImageCollector({ runtime, held: () => held, logger: silentLogger });
  const request = { needed: new Set<string>(), minimumIdleMs: 0 };
  const gone = await collector.collect({ ...request, isEnough: async () => removed.length === 2 });
  expect([removed, gone.map(({ id }) => id)]).toEqual([
    ["a", "c"],
    ["a", "c"],
  ]);
});
