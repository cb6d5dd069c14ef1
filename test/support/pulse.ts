/**
 * An HTTP client that asks one URL at an even pace, each time over a new connection, and never twice for one beat. In a process of its own, so
 * that it can run in a task's network namespace, and that nothing else starves it.
 *
 *     node test/support/pulse.ts <url> <beats per second>
 *
 * Each line on stdin ends a part: the beats since the line before, waited for, are printed as a `PulsePart` in JSON. Ends with stdin.
 */
import { Agent, request } from "node:http";
import { createInterface } from "node:readline";
import { setInterval } from "node:timers";

export interface PulsePart {
  readonly name: string;
  readonly beats: number;
  readonly failures: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

const [url = "", rate = "20"] = process.argv.slice(2);
const TIMEOUT_MS = 20_000;
const agent = new Agent({ keepAlive: false });

let open: Promise<void>[] = [];
let tookMs: number[] = [];
let failures: string[] = [];

async function beat(): Promise<void> {
  const startedAtMs = performance.now();
  const times = tookMs;
  const failed = failures;
  try {
    await new Promise<void>((resolve, reject) => {
      const sending = request(url, { agent, timeout: TIMEOUT_MS }, (response) => {
        response.resume();
        response.on("error", reject);
        response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`))));
      });
      sending.on("timeout", () => sending.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      sending.on("error", reject);
      sending.end();
    });
    times.push(performance.now() - startedAtMs);
  } catch (error) {
    failed.push(error instanceof Error ? error.message || error.name : String(error));
  }
}

const timer = setInterval(() => open.push(beat()), 1000 / Number(rate));
for await (const name of createInterface({ input: process.stdin })) {
  const [waited, times, failed] = [open, tookMs, failures];
  [open, tookMs, failures] = [[], [], []];
  await Promise.all(waited);
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  const part: PulsePart = { name, beats: waited.length, failures: failed, p50Ms: at(0.5), p99Ms: at(0.99), slowestMs: at(1) };
  process.stdout.write(`${JSON.stringify(part)}\n`);
}
clearInterval(timer);
