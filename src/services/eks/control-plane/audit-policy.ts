/** What the audit log holds: the policy that EKS documents. First match wins. */

const OMIT = { omitStages: ["RequestReceived"] };
const core = (...resources: readonly string[]): unknown => ({ group: "", resources });

/** Groups of Kubernetes' own APIs. */
const KNOWN = [
  "",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "apiregistration.k8s.io",
  "apps",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "batch",
  "certificates.k8s.io",
  "extensions",
  "metrics.k8s.io",
  "networking.k8s.io",
  "policy",
  "rbac.authorization.k8s.io",
  "scheduling.k8s.io",
  "settings.k8s.io",
  "storage.k8s.io",
].map((group) => ({ group }));

const STATUSES = [core("nodes/status", "pods/status")];
const NODES = [core("nodes", "nodes/status")];

/** @see https://docs.aws.amazon.com/eks/latest/best-practices/detective-controls.html */
export const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  rules: [
    {
      level: "RequestResponse",
      namespaces: ["kube-system"],
      verbs: ["update", "patch", "delete"],
      resources: [{ group: "", resources: ["configmaps"], resourceNames: ["aws-auth"] }],
      ...OMIT,
    },
    { level: "None", users: ["system:kube-proxy"], verbs: ["watch"], resources: [core("endpoints", "services", "services/status")] },
    { level: "None", users: ["kubelet"], verbs: ["get"], resources: NODES },
    { level: "None", userGroups: ["system:nodes"], verbs: ["get"], resources: NODES },
    {
      level: "None",
      users: ["system:kube-controller-manager", "system:kube-scheduler", "system:serviceaccount:kube-system:endpoint-controller"],
      verbs: ["get", "update"],
      namespaces: ["kube-system"],
      resources: [core("endpoints")],
    },
    {
      level: "None",
      users: ["system:apiserver"],
      verbs: ["get"],
      resources: [core("namespaces", "namespaces/status", "namespaces/finalize")],
    },
    { level: "None", users: ["system:kube-controller-manager"], verbs: ["get", "list"], resources: [{ group: "metrics.k8s.io" }] },
    { level: "None", nonResourceURLs: ["/healthz*", "/version", "/swagger*"] },
    { level: "None", resources: [core("events")] },
    {
      level: "Request",
      users: ["kubelet", "system:node-problem-detector", "system:serviceaccount:kube-system:node-problem-detector"],
      verbs: ["update", "patch"],
      resources: STATUSES,
      ...OMIT,
    },
    { level: "Request", userGroups: ["system:nodes"], verbs: ["update", "patch"], resources: STATUSES, ...OMIT },
    { level: "Request", users: ["system:serviceaccount:kube-system:namespace-controller"], verbs: ["deletecollection"], ...OMIT },
    // They may hold what nobody is to read.
    {
      level: "Metadata",
      resources: [core("secrets", "configmaps", "serviceaccounts/token"), { group: "authentication.k8s.io", resources: ["tokenreviews"] }],
      ...OMIT,
    },
    { level: "Request", verbs: ["get", "list", "watch"], resources: KNOWN, ...OMIT },
    { level: "RequestResponse", resources: KNOWN, ...OMIT },
    { level: "Metadata", ...OMIT },
  ],
};
