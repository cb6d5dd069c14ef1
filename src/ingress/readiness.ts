import type { V1MutatingAdmissionPolicy, V1MutatingAdmissionPolicyBinding, V1Pod } from "@kubernetes/client-node";
import type { TargetHealth } from "../contracts/load-balancer.ts";
import type { PodCondition } from "./cluster-objects.ts";
import { gateOf, type Source } from "./model.ts";

/** As the webhook of the AWS Load Balancer Controller for the same purpose is called. */
export const GATE_POLICY_NAME = "mpod.elbv2.k8s.aws";
const NAMESPACE_LABEL = "elbv2.k8s.aws/pod-readiness-gate-inject";

export interface Gated {
  /** Of the target group. */
  readonly name: string;
  readonly source: Source;
}

/**
 * Gives each new pod that a target group takes for its own, in namespaces that ask for it, the gate of that group. It runs in the API server:
 * pods made while Tidegate is away get theirs too. Pure.
 */
export function gatePolicy(groups: readonly Gated[]): V1MutatingAdmissionPolicy {
  const sorted = [...groups].sort((a, b) => (a.name < b.name ? -1 : 1));
  const gates = sorted.filter(({ source }) => Object.keys(source.selector).length > 0).map(gateExpression);
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicy",
    metadata: { name: GATE_POLICY_NAME },
    spec: {
      failurePolicy: "Fail",
      reinvocationPolicy: "Never",
      matchConstraints: {
        matchPolicy: "Equivalent",
        namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: "enabled" } },
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"], scope: "*" }],
      },
      variables: [
        { name: "labels", expression: "has(object.metadata.labels) ? object.metadata.labels : {}" },
        { name: "present", expression: "has(object.spec.readinessGates) ? object.spec.readinessGates.map(g, g.conditionType) : []" },
        { name: "gates", expression: gates.length === 0 ? `[""].filter(g, g != "")` : gates.join(" + ") },
      ],
      mutations: [
        {
          patchType: "JSONPatch",
          jsonPatch: {
            expression: [
              `(has(object.spec.readinessGates) || variables.gates.size() == 0 ? [] : [JSONPatch{op: "add", path: "/spec/readinessGates", value: []}])`,
              `variables.gates.filter(g, !(g in variables.present)).map(g, JSONPatch{op: "add", path: "/spec/readinessGates/-", value: Object.spec.readinessGates{conditionType: g}})`,
            ].join(" + "),
          },
        },
      ],
    },
  };
}

export const GATE_BINDING: V1MutatingAdmissionPolicyBinding = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingAdmissionPolicyBinding",
  metadata: { name: GATE_POLICY_NAME },
  spec: { policyName: GATE_POLICY_NAME },
};

/** CEL's strings are JSON's. */
const quote = (text: string): string => JSON.stringify(text);

function gateExpression({ name, source }: Gated): string {
  const pairs = Object.entries(source.selector).map(
    ([key, value]) => `${quote(key)} in variables.labels && variables.labels[${quote(key)}] == ${quote(value)}`,
  );
  const ours = [`request.namespace == ${quote(source.namespace)}`, ...pairs].join(" && ");
  return `[${quote(gateOf(name))}].filter(g, ${ours})`;
}

export function hasGate({ spec }: V1Pod, groupName: string): boolean {
  return spec?.readinessGates?.some(({ conditionType }) => conditionType === gateOf(groupName)) ?? false;
}

/** The condition of a gate, by its target's health; `undefined` when it stands already. Pure. */
export function gateCondition(
  pod: V1Pod,
  groupName: string,
  health: Pick<TargetHealth, "state" | "reason" | "description"> | undefined,
  nowMs: number,
): PodCondition | undefined {
  const type = gateOf(groupName);
  const before = pod.status?.conditions?.find((each) => each.type === type);
  const status = health?.state === "healthy" ? "True" : "False";
  const { reason = "", description: message = "" } = health ?? {
    reason: "Target.NotRegistered",
    description: "Target is not registered to the target group",
  };
  if (before?.status === status && (before.reason ?? "") === reason && (before.message ?? "") === message) return undefined;
  // What the watch gave holds the JSON's texts, whatever the type says.
  const since = before?.status === status ? (JSON.parse(JSON.stringify(before.lastTransitionTime ?? null)) as string | null) : null;
  return { type, status, reason, message, lastTransitionTime: since ?? `${new Date(nowMs).toISOString().slice(0, 19)}Z` };
}
