import type { V1MutatingAdmissionPolicy, V1MutatingAdmissionPolicyBinding } from "@kubernetes/client-node";

/** What AWS has a webhook of this name for: pods of service accounts that stand for an IAM role are told where its credentials are. */
export const IDENTITY_POLICY_NAME = "pod-identity-webhook.amazonaws.com";

const ANNOTATION = "eks.amazonaws.com";
const IRSA = { volume: "aws-iam-token", folder: "/var/run/secrets/eks.amazonaws.com/serviceaccount", file: "token" };
const POD_IDENTITY = {
  volume: "eks-pod-identity-token",
  folder: "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount",
  file: "eks-pod-identity-token",
};
/** Where pods of an association fetch credentials, as from AWS's agent. */
const AGENT_URL = "http://169.254.170.23/v1/credentials";

export interface IdentityPolicyParts {
  readonly region: string;
  /** Service accounts with a Pod Identity association. */
  readonly associated: readonly { readonly namespace: string; readonly serviceAccount: string }[];
}

/**
 * Gives each container of a pod the variables and the token by which the SDKs find the credentials of its service account's role: by the Pod Identity
 * association, else by the annotation `eks.amazonaws.com/role-arn`. The service accounts of the pod's namespace are its parameters: it is
 * looked at once for each of them, and says something for the pod's own. What a container sets itself stays. Pure.
 * @see https://github.com/aws/amazon-eks-pod-identity-webhook
 */
export function identityPolicy({ region, associated }: IdentityPolicyParts): V1MutatingAdmissionPolicy {
  const accounts = associated.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`).sort();
  const isAssociated = `((request.namespace + "/" + params.metadata.name) in ${JSON.stringify(accounts)})`;
  const hasRole = `(${annotated("params", "role-arn")})`;
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicy",
    metadata: { name: IDENTITY_POLICY_NAME },
    spec: {
      failurePolicy: "Fail",
      reinvocationPolicy: "IfNeeded",
      paramKind: { apiVersion: "v1", kind: "ServiceAccount" },
      matchConstraints: {
        matchPolicy: "Equivalent",
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"], scope: "*" }],
        objectSelector: { matchExpressions: [{ key: `${ANNOTATION}/skip-pod-identity-webhook`, operator: "DoesNotExist" }] },
      },
      matchConditions: [
        {
          name: "of-the-service-account",
          expression: "has(object.spec.serviceAccountName) && object.spec.serviceAccountName == params.metadata.name",
        },
        { name: "that-stands-for-a-role", expression: accounts.length === 0 ? hasRole : `${isAssociated} || ${hasRole}` },
      ],
      variables: [
        { name: "associated", expression: accounts.length === 0 ? "false" : isAssociated },
        { name: "role", expression: textOf("params", "role-arn", "") },
        { name: "regional", expression: `${textOf("params", "sts-regional-endpoints", "true")} != "false"` },
        { name: "volume", expression: `variables.associated ? ${quote(POD_IDENTITY.volume)} : ${quote(IRSA.volume)}` },
        { name: "folder", expression: `variables.associated ? ${quote(POD_IDENTITY.folder)} : ${quote(IRSA.folder)}` },
        { name: "file", expression: `variables.associated ? ${quote(POD_IDENTITY.file)} : ${quote(IRSA.file)}` },
        { name: "audience", expression: `variables.associated ? "pods.eks.amazonaws.com" : ${textOf("params", "audience", "sts.amazonaws.com")}` },
        { name: "asked", expression: textOf("object", "token-expiration", textOf("params", "token-expiration", "86400"), { isText: false }) },
        {
          name: "seconds",
          expression: `!variables.asked.matches("^[0-9]{1,9}$") ? 86400 : int(variables.asked) < 600 ? 600 : int(variables.asked) > 86400 ? 86400 : int(variables.asked)`,
        },
        { name: "skipped", expression: `${textOf("object", "skip-containers", "")}.split(",").map(name, name.trim())` },
      ],
      mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: patches(region) } }],
    },
  };
}

export const IDENTITY_POLICY_BINDING: V1MutatingAdmissionPolicyBinding = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingAdmissionPolicyBinding",
  metadata: { name: IDENTITY_POLICY_NAME },
  spec: { policyName: IDENTITY_POLICY_NAME, paramRef: { selector: {}, parameterNotFoundAction: "Allow" } },
};

/** CEL's strings are JSON's. */
const quote = (text: string): string => JSON.stringify(text);

function annotated(object: "params" | "object", name: string): string {
  return `has(${object}.metadata.annotations) && ${quote(`${ANNOTATION}/${name}`)} in ${object}.metadata.annotations`;
}

/** The annotation's value, else `otherwise`: a text, or an expression for one. */
function textOf(object: "params" | "object", name: string, otherwise: string, { isText = true } = {}): string {
  return `(${annotated(object, name)} ? string(${object}.metadata.annotations[${quote(`${ANNOTATION}/${name}`)}]) : ${isText ? quote(otherwise) : otherwise})`;
}

function patches(region: string): string {
  const volume = `{"name": dyn(variables.volume), "projected": dyn({"sources": [{"serviceAccountToken": {"audience": dyn(variables.audience), "expirationSeconds": dyn(variables.seconds), "path": dyn(variables.file)}}]})}`;
  const hasVolume = "has(object.spec.volumes) && object.spec.volumes.exists(v, v.name == variables.volume)";
  const ofVolume = `(${hasVolume} ? [] : [JSONPatch{op: "add", path: "/spec/volumes", value: [dyn(${volume})] + (has(object.spec.volumes) ? object.spec.volumes : [])}])`;
  return [ofVolume, ...["containers", "initContainers"].map((list) => `(has(object.spec.${list}) ? ${ofContainers(list, region)} : [])`)].join(" + ");
}

/** The lists of variables and mounts, with what is missing at their ends. */
function ofContainers(list: string, region: string): string {
  const each = (condition: string, member: string, value: string): string =>
    `object.spec.${list}.transformList(i, c, !(c.name in variables.skipped) && ${condition}, JSONPatch{op: "add", path: "/spec/${list}/" + string(i) + "/${member}", value: (has(c.${member}) ? c.${member} : []) + ${value}})`;
  const isMounted = "has(c.volumeMounts) && c.volumeMounts.exists(m, m.mountPath == variables.folder)";
  const mount = `[dyn({"name": dyn(variables.volume), "mountPath": dyn(variables.folder), "readOnly": dyn(true)})]`;
  return `(${each("true", "env", variables(region))} + ${each(`!(${isMounted})`, "volumeMounts", mount)})`;
}

/** Pairs are given whole or not at all: a container that sets one of them means something else. */
function variables(region: string): string {
  const pair = (values: Readonly<Record<string, string>>, when = "true"): string => {
    const names = Object.keys(values);
    const isSet = `has(c.env) && c.env.exists(e, e.name in ${JSON.stringify(names)})`;
    const items = Object.entries(values).map(([name, value]) => `dyn({"name": ${quote(name)}, "value": ${value}})`);
    return `(${when} && !(${isSet}) ? [${items.join(", ")}] : [])`;
  };
  return `(${[
    pair({ AWS_STS_REGIONAL_ENDPOINTS: quote("regional") }, "variables.regional && !variables.associated"),
    pair({ AWS_DEFAULT_REGION: quote(region), AWS_REGION: quote(region) }),
    pair({ AWS_ROLE_ARN: "variables.role", AWS_WEB_IDENTITY_TOKEN_FILE: quote(`${IRSA.folder}/${IRSA.file}`) }, "!variables.associated"),
    pair(
      {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: quote(AGENT_URL),
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: quote(`${POD_IDENTITY.folder}/${POD_IDENTITY.file}`),
      },
      "variables.associated",
    ),
  ].join(" + ")})`;
}
