/** The sizes a Fargate task can have. @see AWS developer guide, "Task CPU and memory" of Fargate. */

/** Memory that goes with each cpu value, in MiB: `from` to `to` in steps, or a list. */
const SIZES: Readonly<Record<number, { readonly from: number; readonly to: number; readonly step: number } | readonly number[]>> = {
  256: [512, 1024, 2048],
  512: { from: 1024, to: 4096, step: 1024 },
  1024: { from: 2048, to: 8192, step: 1024 },
  2048: { from: 4096, to: 16384, step: 1024 },
  4096: { from: 8192, to: 30720, step: 1024 },
  8192: { from: 16384, to: 61440, step: 4096 },
  16384: { from: 32768, to: 122880, step: 8192 },
  32768: [61440, 122880, 249856],
};

/** The cpu values there are, in CPU units (1024 = 1 vCPU), least first. */
export const FARGATE_CPU_UNITS: readonly number[] = Object.keys(SIZES).map(Number);

/** Whether Fargate has this pair. */
export function isFargateSize(cpuUnits: number, memoryMiB: number): boolean {
  const allowed = SIZES[cpuUnits];
  if (allowed === undefined) return false;
  if (!("step" in allowed)) return allowed.includes(memoryMiB);
  return memoryMiB >= allowed.from && memoryMiB <= allowed.to && (memoryMiB - allowed.from) % allowed.step === 0;
}

/** The least memory that goes with a cpu value; `undefined` when there is no such cpu. */
export function leastFargateMemoryMiB(cpuUnits: number): number | undefined {
  const allowed = SIZES[cpuUnits];
  return allowed !== undefined && "step" in allowed ? allowed.from : allowed?.[0];
}

/** The memory that goes with a cpu value, in words: `512, 1024 or 2048 MiB`, `1024 to 4096 MiB in steps of 1024`. `undefined` when there is no such cpu. */
export function fargateMemoryInWords(cpuUnits: number): string | undefined {
  const allowed = SIZES[cpuUnits];
  if (allowed === undefined) return undefined;
  if ("step" in allowed) return `${allowed.from} to ${allowed.to} MiB in steps of ${allowed.step}`;
  return `${allowed.slice(0, -1).join(", ")} or ${allowed.at(-1)} MiB`;
}
