import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { FARGATE_CPU_UNITS, isFargateSize, leastFargateMemoryMiB } from "../core/fargate-sizes.ts";

/** What Fargate provisions for a pod: its own limits. */
export interface PodSize {
  readonly cpuUnits: number;
  readonly memoryMiB: number;
}

/** For the node's own programs on Fargate; part of the published rule. */
const OVERHEAD_MIB = 256;
const MEMORY_STEP_MIB = 256;
/** Sizes above this are for ECS alone. */
const GREATEST_CPU_UNITS = 16384;
const GREATEST_MEMORY_MIB = 122_880;

/**
 * The least Fargate size that holds the pod: the sum of its containers' requests, or the greatest of an init container's, and 256 MiB;
 * `undefined` when none does.
 * @see EKS user guide, "Fargate Pod configuration". Pure.
 */
export function sizePod(spec: Pick<V1PodSpec, "containers" | "initContainers">): PodSize | undefined {
  const { cpuUnits, memoryMiB } = demandOf(spec);
  for (const units of FARGATE_CPU_UNITS) {
    if (units < cpuUnits || units > GREATEST_CPU_UNITS) continue;
    let size = Math.max(leastFargateMemoryMiB(units) ?? 0, Math.ceil(memoryMiB / MEMORY_STEP_MIB) * MEMORY_STEP_MIB);
    for (; size <= GREATEST_MEMORY_MIB; size += MEMORY_STEP_MIB) if (isFargateSize(units, size)) return { cpuUnits: units, memoryMiB: size };
  }
  return undefined;
}

/** Before it is rounded up to a size of Fargate's. */
function demandOf(spec: Pick<V1PodSpec, "containers" | "initContainers">): PodSize {
  return {
    cpuUnits: requested(spec, "cpu", (quantity) => parseQuantity(quantity) * 1024),
    memoryMiB: requested(spec, "memory", (quantity) => parseQuantity(quantity) / 1024 ** 2) + OVERHEAD_MIB,
  };
}

/** Why no size holds the pod. */
export function tooLargeInWords(spec: Pick<V1PodSpec, "containers" | "initContainers">): string {
  const { cpuUnits, memoryMiB } = demandOf(spec);
  const greatest = sizeInWords({ cpuUnits: GREATEST_CPU_UNITS, memoryMiB: GREATEST_MEMORY_MIB });
  const asked = `${round(cpuUnits / 1024)}vCPU ${round(memoryMiB / 1024)}GB`;
  return `its containers request more than the largest Fargate size: ${asked}, of which ${OVERHEAD_MIB} MiB are for Kubernetes' own, where that has ${greatest}`;
}

function round(amount: number): number {
  return Math.round(amount * 100) / 100;
}

/** As the annotation `CapacityProvisioned` says it: `0.25vCPU 0.5GB`. */
export function sizeInWords({ cpuUnits, memoryMiB }: PodSize): string {
  return `${cpuUnits / 1024}vCPU ${memoryMiB / 1024}GB`;
}

const DEFAULT_EPHEMERAL_GIB = 20;
/** The most that Fargate has for a pod. */
export const GREATEST_EPHEMERAL_GIB = 175;

/** What the pod may have on disk: 20 GiB, or the sum of its containers' requests where that is more. Pure. */
export function ephemeralGiB(spec: Pick<V1PodSpec, "containers" | "initContainers">): number {
  return Math.max(DEFAULT_EPHEMERAL_GIB, Math.ceil(requested(spec, "ephemeral-storage", (quantity) => parseQuantity(quantity) / 1024 ** 3)));
}

const EXPONENTS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number that a Kubernetes quantity (`100m`, `64Mi`, `1e3`) stands for; 0 for what is none. */
export function parseQuantity(text: string): number {
  const [, digits, suffix = ""] = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  return digits === undefined ? 0 : Number(digits) * (EXPONENTS[suffix] ?? 0);
}

/** Sidecars run beside the containers, and beside the init containers after them. */
function requested(
  { containers, initContainers = [] }: Pick<V1PodSpec, "containers" | "initContainers">,
  resource: "cpu" | "memory" | "ephemeral-storage",
  amountOf: (quantity: string) => number,
): number {
  const of = (container: V1Container): number =>
    amountOf(container.resources?.requests?.[resource] ?? container.resources?.limits?.[resource] ?? "0");
  let sidecars = 0;
  let greatest = 0;
  for (const container of initContainers) {
    if (container.restartPolicy === "Always") sidecars += of(container);
    else greatest = Math.max(greatest, sidecars + of(container));
  }
  return Math.max(greatest, sidecars + containers.reduce((sum, container) => sum + of(container), 0));
}
