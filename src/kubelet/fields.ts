import type { V1Pod } from "@kubernetes/client-node";
import type { Produced } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";

/** What a `fieldRef` names: of the pod, or its address, which is known once it runs. @throws Problem `invalid` for another path. Pure. */
export function fieldOf(pod: V1Pod, path: string): Produced {
  const { metadata, spec } = pod;
  const [, map, key = ""] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (map === "labels") return { value: metadata?.labels?.[key] ?? "" };
  if (map === "annotations") return { value: metadata?.annotations?.[key] ?? "" };
  switch (path) {
    case "metadata.name":
      return { value: metadata?.name ?? "" };
    case "metadata.namespace":
      return { value: metadata?.namespace ?? "" };
    case "metadata.uid":
      return { value: metadata?.uid ?? "" };
    case "metadata.labels":
      return { value: asLines(metadata?.labels) };
    case "metadata.annotations":
      return { value: asLines(metadata?.annotations) };
    case "spec.nodeName":
      return { value: spec?.nodeName ?? "" };
    case "spec.serviceAccountName":
      return { value: spec?.serviceAccountName ?? "" };
    case "status.podIP":
    case "status.podIPs":
    case "status.hostIP":
    case "status.hostIPs":
      return { producer: "pod-ip" };
    default:
      throw new Problem("invalid", `unsupported fieldPath: ${path}`);
  }
}

function asLines(map: Readonly<Record<string, string>> = {}): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}
