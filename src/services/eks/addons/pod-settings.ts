import type { ClusterObject } from "../ports.ts";
import type { AddonParts, JsonSchema } from "./definition.ts";

/** What users may set of the pods of any add-on, under the names that EKS's own schemas have for it. */

type Configuration = AddonParts["configuration"];

const OBJECT: JsonSchema = { type: "object" };
const STRINGS: JsonSchema = { type: "object", additionalProperties: { type: "string" } };

export const POD_PROPERTIES: Readonly<Record<string, JsonSchema>> = {
  resources: { type: "object", additionalProperties: false, properties: { limits: STRINGS, requests: STRINGS } },
  podAnnotations: STRINGS,
  podLabels: STRINGS,
  nodeSelector: STRINGS,
  affinity: OBJECT,
  tolerations: { type: "array", items: OBJECT },
  topologySpreadConstraints: { type: "array", items: OBJECT },
  podDisruptionBudget: {
    type: "object",
    additionalProperties: false,
    properties: { enabled: { type: "boolean" }, maxUnavailable: {}, minAvailable: {} },
  },
};

/** The metadata of its pods' template: by their own labels they are found, whatever else the user has put there. Pure. */
export function podMetadata(c: Configuration, own: Readonly<Record<string, string>>): unknown {
  return { labels: { ...asObject(c["podLabels"]), ...own }, annotations: asObject(c["podAnnotations"]) };
}

/** Where its pods may be, as members of their spec. Pure. */
export function podPlacing(c: Configuration): Readonly<Record<string, unknown>> {
  return {
    ...(c["nodeSelector"] !== undefined && { nodeSelector: c["nodeSelector"] }),
    ...(c["affinity"] !== undefined && { affinity: c["affinity"] }),
    ...(c["topologySpreadConstraints"] !== undefined && { topologySpreadConstraints: c["topologySpreadConstraints"] }),
    tolerations: c["tolerations"] ?? [
      { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
      { key: "CriticalAddonsOnly", operator: "Exists" },
    ],
  };
}

/** That one of its pods may be away at a time, unless the user says otherwise. Pure. */
export function disruptionBudget(
  c: Configuration,
  { metadata, podLabels }: { readonly metadata: ClusterObject["metadata"]; readonly podLabels: Readonly<Record<string, string>> },
): readonly ClusterObject[] {
  const { enabled = true, ...bounds } = asObject(c["podDisruptionBudget"]);
  if (enabled === false) return [];
  const spec = { selector: { matchLabels: podLabels }, ...(Object.keys(bounds).length === 0 ? { maxUnavailable: 1 } : bounds) };
  return [{ apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata, spec }];
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
