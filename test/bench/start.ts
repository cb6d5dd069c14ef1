/** Time until Tidegate serves, with its daemons running already and without; and its resident memory when idle. `node test/bench/start.ts [rounds]`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { systemClock } from "../../src/core/clock.ts";
import { startInstance } from "../support/instance.ts";
import { figure, median, ms } from "./figures.ts";

const rounds = Number(process.argv[2] ?? 5);
const SETTLE_MS = 10_000;

const coldStartedMs = performance.now();
const instance = await startInstance();
const coldMs = performance.now() - coldStartedMs;
try {
  const warm: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await instance.cli(["down"]);
    const startedMs = performance.now();
    await instance.up();
    warm.push(performance.now() - startedMs);
  }
  await systemClock.sleep(SETTLE_MS);
  const { pid } = JSON.parse(await readFile(join("/run/tidegate", instance.instanceId, "server.json"), "utf8")) as { pid: number };
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const residentMb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1000;
  await figure("ready", `first start ${ms(coldMs)} (with \`tidegate env\`), later ones ${ms(median(warm))} (aim under 2000 ms)`, {
    coldMs,
    warmMs: median(warm),
  });
  await figure("idle memory", `${residentMb.toFixed(0)} MB resident (aim under 150)`, { residentMb });
} finally {
  await instance.remove();
}
