import type { V1Container, V1ObjectFieldSelector, V1Pod, V1ResourceFieldSelector } from "@kubernetes/client-node";
import { Problem } from "../core/problem.ts";
import { ephemeralGiB, parseQuantity } from "./pod-size.ts";
import type { PodPlacement } from "./records.ts";

/** A pod and where it is: what its fields and its files are made of. */
export interface PlacedPod {
  readonly pod: V1Pod;
  readonly placement: Pick<PodPlacement, "address" | "cpuUnits" | "memoryMiB">;
}

/** The value of what a `fieldRef` names. @throws Problem `invalid` for another path. Pure. */
export function fieldOf({ pod, placement }: PlacedPod, { fieldPath }: V1ObjectFieldSelector): string {
  const { metadata, spec } = pod;
  const [, map, key = ""] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath) ?? [];
  if (map === "labels") return metadata?.labels?.[key] ?? "";
  if (map === "annotations") return metadata?.annotations?.[key] ?? "";
  switch (fieldPath) {
    case "metadata.name":
      return metadata?.name ?? "";
    case "metadata.namespace":
      return metadata?.namespace ?? "";
    case "metadata.uid":
      return metadata?.uid ?? "";
    case "metadata.labels":
      return asLines(metadata?.labels);
    case "metadata.annotations":
      return asLines(metadata?.annotations);
    case "spec.nodeName":
      return spec?.nodeName ?? "";
    case "spec.serviceAccountName":
      return spec?.serviceAccountName ?? "";
    case "status.podIP":
    case "status.podIPs":
    case "status.hostIP":
    case "status.hostIPs":
      return placement.address ?? "";
    default:
      throw new Problem("invalid", `unsupported fieldPath: ${fieldPath}`);
  }
}

function asLines(map: Readonly<Record<string, string>> = {}): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}

/**
 * The amount that a `resourceFieldRef` names, in units of its divisor, rounded up; of `own` unless it names another container. A limit that is
 * not set is the whole of what the pod was given. @throws Problem `invalid` for what there is not. Pure.
 */
export function resourceOf({ pod, placement }: PlacedPod, ref: V1ResourceFieldSelector, own?: V1Container): string {
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const container = ref.containerName ? all.find(({ name }) => name === ref.containerName) : own;
  if (container === undefined) throw new Problem("invalid", `container ${ref.containerName ?? ""} not found`);
  const [kind, resource = ""] = ref.resource.split(".");
  const whole: Readonly<Record<string, number>> = {
    cpu: placement.cpuUnits / 1024,
    memory: placement.memoryMiB * 2 ** 20,
    "ephemeral-storage": ephemeralGiB(pod.spec ?? { containers: [] }) * 2 ** 30,
  };
  const known = whole[resource];
  if (known === undefined || (kind !== "limits" && kind !== "requests")) {
    throw new Problem("invalid", `unsupported container resource : ${ref.resource}`);
  }
  const set = container.resources?.[kind]?.[resource];
  const amount = set !== undefined ? parseQuantity(set) : kind === "limits" ? known : 0;
  const divisor = parseQuantity(ref.divisor ?? "1") || 1;
  // CPU is kept in thousandths; what binary fractions add to the quotient is no reason to round up.
  return String(Math.ceil(Number((amount / divisor).toFixed(6))));
}
