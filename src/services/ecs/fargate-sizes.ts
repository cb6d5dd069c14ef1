import { isFargateSize } from "../../core/fargate-sizes.ts";
import { clientError } from "./errors.ts";

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
  if (!isFargateSize(cpuUnits, memoryMiB)) {
    throw clientError(
      `No Fargate configuration exists for given values: ${cpuUnits} CPU, ${memoryMiB} memory. See the Amazon ECS documentation for the valid values.`,
    );
  }
  return { cpuUnits, memoryMiB };
}
