import { defineConfig } from "vitest/config";
import { LongestFirst } from "./tools/test-order.ts";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "tools/**/*.test.ts", "test/**/*.test.ts"],
    // Too long for each run: a part of the whole recovery matrix alone.
    exclude: process.env["TIDEGATE_RECOVERY"] === "full" ? [] : ["test/recovery/whole/**"],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // A second, vitest's own, is not enough on a busy machine.
    expect: { poll: { timeout: 30_000 } },
    pool: "forks",
    // One more than the cores of the smallest machine: files that drive real clients wait for much of their time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    reporters: ["default"],
  },
});
