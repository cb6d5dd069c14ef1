import { createHash } from "node:crypto";
import type {
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1Pod,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
} from "@kubernetes/client-node";
import { inOrder, patternOf, PROFILE_LABEL, SCHEDULER_NAME } from "./match-profile.ts";
import type { FargateProfile, PodSelector } from "./ports.ts";

/** As AWS's webhook of the same purpose is called. */
export const POLICY_NAME = "0500-amazon-eks-fargate-mutation.amazonaws.com";

/** Whatever the pod's own is, as on AWS. The API server refuses a number that is not the class's. */
const PRIORITY = `priorityClassName: "system-node-critical", priority: 2000001000, preemptionPolicy: "PreemptLowerPriority"`;

/** Of pods that are never made: they ask whether the API server goes by this very policy already. */
const PROBE_LABEL = "tidegate.internal/policy";

/** Which policy these profiles give. Pure. */
export function policyMark(profiles: readonly FargateProfile[]): string {
  return createHash("sha256").update(profileExpression(profiles)).digest("hex").slice(0, 32);
}

/** A pod for a dry run, which comes out on Fargate once the policy of that mark is in force. Pure. */
export function probePod(mark: string): V1Pod {
  return {
    metadata: { name: "tidegate-policy", namespace: "default", labels: { [PROBE_LABEL]: mark } },
    spec: { containers: [{ name: "none", image: "none" }] },
  };
}

/** Who is on Fargate at all, and by which profile: the same rule as `matchProfile`, in CEL. */
export function admissionPolicy(profiles: readonly FargateProfile[]): V1MutatingAdmissionPolicy {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicy",
    metadata: { name: POLICY_NAME },
    spec: {
      failurePolicy: "Fail",
      reinvocationPolicy: "IfNeeded",
      matchConstraints: {
        matchPolicy: "Equivalent",
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"], scope: "*" }],
      },
      variables: [
        { name: "labels", expression: "has(object.metadata.labels) ? object.metadata.labels : {}" },
        { name: "profile", expression: profileExpression(profiles) },
      ],
      matchConditions: [
        {
          name: "not-of-a-daemon-set",
          expression: `!has(object.metadata.ownerReferences) || !object.metadata.ownerReferences.exists(o, o.kind == "DaemonSet")`,
        },
        {
          name: "not-asked-for-ec2",
          expression: `!has(object.metadata.annotations) || !("eks.amazonaws.com/compute-type" in object.metadata.annotations) || object.metadata.annotations["eks.amazonaws.com/compute-type"] != "ec2"`,
        },
        { name: "of-a-profile", expression: `${isProbe(policyMark(profiles))} || ${anyProfile(profiles)}` },
      ],
      mutations: [
        {
          patchType: "ApplyConfiguration",
          applyConfiguration: {
            expression: `Object{metadata: Object.metadata{labels: {${quote(PROFILE_LABEL)}: variables.profile}}, spec: Object.spec{schedulerName: ${quote(SCHEDULER_NAME)}, ${PRIORITY}}}`,
          },
        },
      ],
    },
  };
}

export const POLICY_BINDING: V1MutatingAdmissionPolicyBinding = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingAdmissionPolicyBinding",
  metadata: { name: POLICY_NAME },
  spec: { policyName: POLICY_NAME },
};

const FIXED_SIZE_NAME = "fixed-size.fargate.eks.amazonaws.com";

/** A pod of Fargate has the size that it was started with. Differs: AWS documents no resizing, nor that it is refused. */
export const FIXED_SIZE_POLICY: V1ValidatingAdmissionPolicy = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingAdmissionPolicy",
  metadata: { name: FIXED_SIZE_NAME },
  spec: {
    failurePolicy: "Fail",
    matchConstraints: {
      matchPolicy: "Equivalent",
      resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods/resize"], operations: ["UPDATE"], scope: "*" }],
    },
    matchConditions: [{ name: "on-fargate", expression: `object.spec.schedulerName == ${quote(SCHEDULER_NAME)}` }],
    validations: [
      {
        expression: "false",
        message:
          "Pods on Fargate cannot be resized in place: Fargate has given this one a machine of the size that its requests had when it was created. Change the resources in what made it (a Deployment, say), which replaces it, or delete it and create it anew",
        reason: "Forbidden",
      },
    ],
  },
};

export const FIXED_SIZE_BINDING: V1ValidatingAdmissionPolicyBinding = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingAdmissionPolicyBinding",
  metadata: { name: FIXED_SIZE_NAME },
  spec: { policyName: FIXED_SIZE_NAME, validationActions: ["Deny"] },
};

/** CEL's strings are JSON's. */
function quote(text: string): string {
  return JSON.stringify(text);
}

const OWN_LABELS = "(has(object.metadata.labels) ? object.metadata.labels : {})";

function isProbe(mark: string): string {
  return `(${quote(PROBE_LABEL)} in ${OWN_LABELS} && ${OWN_LABELS}[${quote(PROBE_LABEL)}] == ${quote(mark)})`;
}

/** Match conditions know no variables. */
function anyProfile(profiles: readonly FargateProfile[]): string {
  return profiles.length === 0 ? "false" : profiles.map((profile) => matchExpression(profile, OWN_LABELS)).join(" || ");
}

function profileExpression(profiles: readonly FargateProfile[]): string {
  return inOrder(profiles).reduceRight(
    (rest, profile) => `(${matchExpression(profile, "variables.labels")}) ? ${quote(profile.name)} : (${rest})`,
    `""`,
  );
}

/** Whether the pod is the profile's, unless its label names another. */
function matchExpression({ name, selectors }: FargateProfile, labels: string): string {
  const own = `(!(${quote(PROFILE_LABEL)} in ${labels}) || ${labels}[${quote(PROFILE_LABEL)}] == ${quote(name)})`;
  return `(${own} && (${selectors.map((selector) => selectorExpression(selector, labels)).join(" || ")}))`;
}

function selectorExpression({ namespace, labels: pairs }: PodSelector, labels: string): string {
  const conditions = Object.entries(pairs).map(
    ([key, value]) => `${labels}.exists(k, k.matches(${quote(patternOf(key))}) && ${labels}[k].matches(${quote(patternOf(value))}))`,
  );
  return [`request.namespace.matches(${quote(patternOf(namespace))})`, ...conditions].join(" && ");
}
