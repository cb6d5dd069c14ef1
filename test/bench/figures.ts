import { mkdir, appendFile } from "node:fs/promises";
import { join, resolve } from "node:path";

/** The value below which the share `p` (0 to 1) of the sorted samples lies. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** One line for people, and one JSON line in `.cache/bench.jsonl` for comparisons over time. */
export async function figure(name: string, text: string, values: Readonly<Record<string, number>>): Promise<void> {
  console.log(`${name.padEnd(22)} ${text}`);
  const folder = resolve(import.meta.dirname, "../../.cache");
  await mkdir(folder, { recursive: true });
  await appendFile(join(folder, "bench.jsonl"), `${JSON.stringify({ name, ...values })}\n`);
}

export const ms = (value: number): string => `${value.toFixed(0)} ms`;
