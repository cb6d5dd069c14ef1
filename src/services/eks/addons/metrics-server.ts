import type { ClusterObject } from "../ports.ts";
import type { AddonDefinition, AddonParts } from "./definition.ts";
import { disruptionBudget, POD_PROPERTIES, podMetadata, podPlacing } from "./pod-settings.ts";

const NAME = "metrics-server";
const NAMESPACE = "kube-system";
const POD_LABELS = { "app.kubernetes.io/instance": NAME, "app.kubernetes.io/name": NAME };
const LABELS = { ...POD_LABELS, "app.kubernetes.io/version": "0.9.0" };
const IMAGE = "kubernetes.tidegate.internal/metrics-server:v0.9.0";
/** As EKS has it: 10250 of a pod's address is its node's kubelet. */
const PORT = 10_251;
const RBAC = "rbac.authorization.k8s.io";
const DEFAULT_RESOURCES = { limits: { memory: "400Mi" }, requests: { cpu: "100m", memory: "200Mi" } };

/** What `kubectl top` shows and HorizontalPodAutoscalers go by: upstream's metrics-server, which asks every node's kubelet. */
export const METRICS_SERVER: AddonDefinition = {
  name: NAME,
  type: "observability",
  owner: "community",
  version: "v0.9.0-eksbuild.1",
  namespace: NAMESPACE,
  image: IMAGE,
  deployment: NAME,
  podLabels: POD_LABELS,
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      replicas: { type: "integer", minimum: 0 },
      containerPort: { type: "integer", minimum: 1, description: "Any but 10250, which is the kubelet's of the pod's own node" },
      addArgs: { type: "array", items: { type: "string" }, description: "Further arguments of metrics-server" },
      ...POD_PROPERTIES,
    },
  },
  objects: (parts) => [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(NAME) },
    ...roles(),
    ...bindings(),
    service(),
    deployment(parts),
    ...disruptionBudget(parts.configuration, { metadata: metadata(NAME), podLabels: POD_LABELS }),
    apiService(),
  ],
};

function metadata(name: string): ClusterObject["metadata"] {
  return { name, namespace: NAMESPACE, labels: LABELS };
}

function roles(): readonly ClusterObject[] {
  const role = (name: string, labels: Readonly<Record<string, string>>, rules: readonly unknown[]): ClusterObject => ({
    apiVersion: `${RBAC}/v1`,
    kind: "ClusterRole",
    metadata: { name, labels: { ...LABELS, ...labels } },
    rules,
  });
  const read = ["get", "list", "watch"];
  const aggregate = Object.fromEntries(["admin", "edit", "view"].map((to) => [`${RBAC}/aggregate-to-${to}`, "true"]));
  return [
    role("system:aggregated-metrics-reader", aggregate, [{ apiGroups: ["metrics.k8s.io"], resources: ["pods", "nodes"], verbs: read }]),
    role("system:metrics-server", {}, [
      { apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] },
      { apiGroups: [""], resources: ["pods", "nodes"], verbs: read },
    ]),
  ];
}

function bindings(): readonly ClusterObject[] {
  const subjects = [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }];
  const toClusterRole = (name: string, role: string): ClusterObject => ({
    apiVersion: `${RBAC}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name, labels: LABELS },
    roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: role },
    subjects,
  });
  return [
    toClusterRole("metrics-server:system:auth-delegator", "system:auth-delegator"),
    toClusterRole("system:metrics-server", "system:metrics-server"),
    {
      apiVersion: `${RBAC}/v1`,
      kind: "RoleBinding",
      metadata: metadata("metrics-server-auth-reader"),
      roleRef: { apiGroup: RBAC, kind: "Role", name: "extension-apiserver-authentication-reader" },
      subjects,
    },
  ];
}

function service(): ClusterObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata(NAME),
    spec: { selector: POD_LABELS, ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: "https", appProtocol: "https" }] },
  };
}

function deployment({ configuration: c }: AddonParts): ClusterObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(NAME),
    spec: {
      replicas: c["replicas"] ?? 2,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0 } },
      selector: { matchLabels: POD_LABELS },
      template: {
        metadata: podMetadata(c, POD_LABELS),
        spec: {
          serviceAccountName: NAME,
          priorityClassName: "system-cluster-critical",
          ...podPlacing(c),
          containers: [container(c)],
          // For the certificate that it makes itself.
          volumes: [{ name: "tmp", emptyDir: {} }],
        },
      },
    },
  };
}

function container(c: AddonParts["configuration"]): unknown {
  const port = (c["containerPort"] ?? PORT) as number;
  const probe = (path: string, more: Readonly<Record<string, unknown>>): unknown => ({ httpGet: { path, port: "https", scheme: "HTTPS" }, ...more });
  return {
    name: NAME,
    image: IMAGE,
    imagePullPolicy: "IfNotPresent",
    args: [
      `--secure-port=${port}`,
      "--cert-dir=/tmp",
      "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
      "--kubelet-use-node-status-port",
      "--metric-resolution=15s",
      ...((c["addArgs"] ?? []) as readonly string[]),
    ],
    resources: c["resources"] ?? DEFAULT_RESOURCES,
    ports: [{ name: "https", containerPort: port, protocol: "TCP" }],
    volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
    livenessProbe: probe("/livez", { initialDelaySeconds: 20, periodSeconds: 10, failureThreshold: 3 }),
    // Ready once it has been told the figures of a node.
    readinessProbe: probe("/readyz", { initialDelaySeconds: 5, periodSeconds: 5, failureThreshold: 3 }),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}

/** The certificate that it makes itself is not checked, as in upstream's manifest; it checks the API server's. */
function apiService(): ClusterObject {
  return {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: "v1beta1.metrics.k8s.io", labels: LABELS },
    spec: {
      group: "metrics.k8s.io",
      version: "v1beta1",
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service: { name: NAME, namespace: NAMESPACE, port: 443 },
    },
  };
}
