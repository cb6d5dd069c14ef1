import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { messageOf } from "../../src/core/problem.ts";
import { readTextIfAny } from "../../src/host/files.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance } from "../support/instance.ts";
import { createStack } from "../support/stack.ts";
import { untilStateAgrees } from "../support/state/instance-state.ts";
import { full, randomOf, rounds, seed } from "./matrix.ts";
import { controlPlaneOf } from "./support/control-plane.ts";

/** SIGKILL of the control plane in the first start of an instance, which makes what all later ones find. */

const COUNT = rounds({ part: 1, whole: 25 });
const KILLS = rounds({ part: 1, whole: 3 });
const WINDOW_MS = 2_500;

async function idIn(dataDir: string): Promise<string | undefined> {
  const text = await readTextIfAny(join(dataDir, "instance.json"));
  return text === undefined ? undefined : (JSON.parse(text) as { readonly instanceId: string }).instanceId;
}

test("a first start that is killed is gone on with by the next, and leaves nothing behind", { timeout: 30 * 60_000 }, async () => {
  const random = randomOf("first start");
  for (let round = 1; round <= COUNT; round++) {
    const instants: number[] = [];
    const dataDir = await mkdtemp(join(tmpdir(), "tidegate-test-"));
    const ids = new Set<string>();
    try {
      const plane = controlPlaneOf({ dataDir, port: 0, kill: async () => {} });
      for (let kill = 0; kill < KILLS; kill++) {
        const afterMs = random.between(0, WINDOW_MS);
        instants.push(afterMs);
        plane.spawn();
        await systemClock.sleep(afterMs);
        await plane.kill();
        const id = await idIn(dataDir);
        if (id !== undefined) ids.add(id);
      }
      const instance = await startInstance([], { dataDir });
      try {
        // Whoever once had an id keeps it: what carries it is on the host already.
        expect([...ids, instance.instanceId].every((id) => id === instance.instanceId)).toBe(true);
        await untilStateAgrees(instance);
        expect((await readdir(dataDir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
        if (full) {
          const stack = await createStack(instance);
          const command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.3; done"];
          await stack.reach(await stack.start(await stack.define("first", [{ name: "app", command }])), "RUNNING");
        }
      } finally {
        await removeWithoutTrace(instance);
      }
    } catch (error) {
      throw new Error(`round ${round} of ${COUNT}, killed after ${instants.join(", ")} ms; TIDEGATE_RECOVERY_SEED=${seed}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  console.log(`first start: ${COUNT * KILLS} kills in ${COUNT} instances (seed ${seed})`);
});
