import type { ClusterObject } from "../ports.ts";
import type { AddonDefinition, AddonParts } from "./definition.ts";
import { disruptionBudget, POD_PROPERTIES, podMetadata, podPlacing } from "./pod-settings.ts";

const NAME = "coredns";
const NAMESPACE = "kube-system";
/** As EKS labels its own. */
const POD_LABELS = { "eks.amazonaws.com/component": "coredns", "k8s-app": "kube-dns" };
const IMAGE = "kubernetes.tidegate.internal/coredns:v1.14.2";

/** EKS's own. */
const COREFILE = `.:53 {
    errors
    health {
        lameduck 5s
      }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
`;

const DEFAULT_RESOURCES = { limits: { memory: "170Mi" }, requests: { cpu: "100m", memory: "70Mi" } };

/** The cluster's DNS: upstream's CoreDNS, behind the service `kube-dns`, which pods' resolv.conf names. */
export const COREDNS: AddonDefinition = {
  name: NAME,
  type: "networking",
  owner: "aws",
  version: "v1.14.2-eksbuild.1",
  namespace: NAMESPACE,
  image: IMAGE,
  deployment: NAME,
  podLabels: POD_LABELS,
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      replicaCount: { type: "integer", minimum: 0 },
      corefile: { type: "string", description: "Entire corefile contents to use with installation" },
      computeType: { type: "string", description: "All pods are on Fargate, whatever it says" },
      ...POD_PROPERTIES,
    },
  },
  objects: (parts) => [serviceAccount(), role(), roleBinding(), configMap(parts), service(parts), deployment(parts), ...budget(parts)],
};

const labels = { "eks.amazonaws.com/component": "coredns", "k8s-app": "kube-dns" };
const metadata = (name: string, more: Readonly<Record<string, unknown>> = {}): ClusterObject["metadata"] => ({
  name,
  namespace: NAMESPACE,
  labels,
  ...more,
});

function serviceAccount(): ClusterObject {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(NAME) };
}

function role(): ClusterObject {
  const read = (apiGroups: readonly string[], resources: readonly string[]): unknown => ({ apiGroups, resources, verbs: ["list", "watch"] });
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "system:coredns", labels },
    rules: [read([""], ["endpoints", "services", "pods", "namespaces"]), read(["discovery.k8s.io"], ["endpointslices"])],
  };
}

function roleBinding(): ClusterObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "system:coredns", labels },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:coredns" },
    subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
  };
}

function configMap({ configuration }: AddonParts): ClusterObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: metadata(NAME), data: { Corefile: configuration["corefile"] ?? COREFILE } };
}

function service({ dnsAddress }: AddonParts): ClusterObject {
  const port = (name: string, number: number, protocol: string): unknown => ({ name, port: number, protocol, targetPort: number });
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata("kube-dns", {
      labels: { ...labels, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
      annotations: { "prometheus.io/port": "9153", "prometheus.io/scrape": "true" },
    }),
    spec: {
      selector: { "k8s-app": "kube-dns" },
      clusterIP: dnsAddress,
      ports: [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")],
    },
  };
}

function deployment({ configuration: c }: AddonParts): ClusterObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(NAME, { labels: { ...labels, "kubernetes.io/name": "CoreDNS" } }),
    spec: {
      replicas: c["replicaCount"] ?? 2,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
      selector: { matchLabels: POD_LABELS },
      template: {
        metadata: podMetadata(c, POD_LABELS),
        spec: {
          serviceAccountName: NAME,
          priorityClassName: "system-cluster-critical",
          dnsPolicy: "Default",
          ...podPlacing(c),
          containers: [container(c["resources"] ?? DEFAULT_RESOURCES)],
          volumes: [{ name: "config-volume", configMap: { name: NAME, items: [{ key: "Corefile", path: "Corefile" }] } }],
        },
      },
    },
  };
}

function container(resources: unknown): unknown {
  const port = (name: string, containerPort: number, protocol: string): unknown => ({ name, containerPort, protocol });
  const probe = (path: string, number: number, more: Readonly<Record<string, unknown>> = {}): unknown => ({
    httpGet: { path, port: number, scheme: "HTTP" },
    ...more,
  });
  return {
    name: NAME,
    image: IMAGE,
    imagePullPolicy: "IfNotPresent",
    args: ["-conf", "/etc/coredns/Corefile"],
    resources,
    ports: [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")],
    volumeMounts: [{ name: "config-volume", mountPath: "/etc/coredns", readOnly: true }],
    livenessProbe: probe("/health", 8080, { initialDelaySeconds: 60, timeoutSeconds: 5, failureThreshold: 5 }),
    readinessProbe: probe("/ready", 8181, { periodSeconds: 2 }),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    },
  };
}

function budget({ configuration }: AddonParts): readonly ClusterObject[] {
  return disruptionBudget(configuration, { metadata: metadata(NAME), podLabels: POD_LABELS });
}
