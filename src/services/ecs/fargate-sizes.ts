import { clientError } from "./errors.ts";

/** Memory that goes with each cpu value, in MiB: `[from, to, step]`, or a list. @see AWS developer guide, "Task CPU and memory" of Fargate. */
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

export interface FargateSize {
  readonly cpuUnits: number;
  readonly memoryMiB: number;
}

/** Reads `1024`, `1 vCPU`, `.5 vcpu`. `undefined` when it is none. */
export function parseCpu(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return Number(trimmed);
  const match = /^(\d+|\d*\.\d+)\s*vcpu$/i.exec(trimmed);
  return match?.[1] === undefined ? undefined : Math.round(Number(match[1]) * 1024);
}

/** Reads `2048`, `2GB`, `0.5 GB`: MiB. `undefined` when it is none. */
export function parseMemory(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return Number(trimmed);
  const match = /^(\d+|\d*\.\d+)\s*gb$/i.exec(trimmed);
  return match?.[1] === undefined ? undefined : Math.round(Number(match[1]) * 1024);
}

/** @throws ClientException when no Fargate configuration has these values. */
export function readFargateSize(cpu: string, memory: string): FargateSize {
  const cpuUnits = parseCpu(cpu);
  if (cpuUnits === undefined) throw clientError(`Invalid 'cpu' setting for task. Invalid value: ${cpu}`);
  const memoryMiB = parseMemory(memory);
  if (memoryMiB === undefined) throw clientError(`Invalid 'memory' setting for task. Invalid value: ${memory}`);
  const allowed = SIZES[cpuUnits];
  const fits =
    allowed !== undefined &&
    ("step" in allowed
      ? memoryMiB >= allowed.from && memoryMiB <= allowed.to && (memoryMiB - allowed.from) % allowed.step === 0
      : allowed.includes(memoryMiB));
  if (!fits) {
    throw clientError(
      `No Fargate configuration exists for given values: ${cpuUnits} CPU, ${memoryMiB} memory. See the Amazon ECS documentation for the valid values.`,
    );
  }
  return { cpuUnits, memoryMiB };
}
