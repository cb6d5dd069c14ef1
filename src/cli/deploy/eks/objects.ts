import type { DeploySettings } from "../settings.ts";

export const NAMESPACE = "default";
export const DEPLOYMENTS = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
export const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
export const INGRESSES = `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/ingresses`;
export const EVENTS = `/api/v1/namespaces/${NAMESPACE}/events`;
export const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;

/** Kubernetes takes this much of a Fargate pod's memory for itself. */
const OVERHEAD_MIB = 256;
/** How long a roll-out may stand still. */
const DEADLINE_SECONDS = 180;

export interface Shipped {
  readonly settings: DeploySettings;
  /** With digest. */
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  /** `undefined`: a worker. */
  readonly port: number | undefined;
}

const meta = (name: string): { readonly name: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>> } => ({
  name,
  namespace: NAMESPACE,
  labels: { "app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "tidegate" },
});

/** Pods of the same size as the task would have; a new one is ready before an old one goes. Pure. */
export function deploymentOf({ settings, image, environment, port }: Shipped): unknown {
  const { name, cpu, memory, count, healthPath } = settings;
  const selector = { "app.kubernetes.io/name": name };
  const container = {
    name,
    image,
    env: Object.entries(environment).map(([key, value]) => ({ name: key, value })),
    resources: { requests: { cpu: `${Math.round((cpu * 1000) / 1024)}m`, memory: `${memory - OVERHEAD_MIB}Mi` } },
    ...(port !== undefined && {
      ports: [{ containerPort: port }],
      readinessProbe: { httpGet: { path: healthPath, port }, periodSeconds: 2, failureThreshold: 3, timeoutSeconds: 2 },
    }),
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(name),
    spec: {
      replicas: count,
      progressDeadlineSeconds: DEADLINE_SECONDS,
      // A worker has no probe: it counts once it has run for a while.
      ...(port === undefined && { minReadySeconds: 5 }),
      selector: { matchLabels: selector },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "100%" } },
      template: { metadata: { labels: { ...selector, "app.kubernetes.io/managed-by": "tidegate" } }, spec: { containers: [container] } },
    },
  };
}

/** Pure. */
export function serviceOf({ settings: { name } }: Shipped, port: number): unknown {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta(name),
    spec: { type: "ClusterIP", selector: { "app.kubernetes.io/name": name }, ports: [{ name: "http", port: 80, targetPort: port }] },
  };
}

/** An internet-facing ALB with the pods as its targets. Pure. */
export function ingressOf({ settings: { name, healthPath } }: Shipped): unknown {
  const annotations = {
    "alb.ingress.kubernetes.io/scheme": "internet-facing",
    "alb.ingress.kubernetes.io/target-type": "ip",
    "alb.ingress.kubernetes.io/load-balancer-name": `eks-${name}`.slice(0, 32).replace(/-+$/, ""),
    "alb.ingress.kubernetes.io/healthcheck-path": healthPath,
    "alb.ingress.kubernetes.io/healthcheck-interval-seconds": "5",
    "alb.ingress.kubernetes.io/healthcheck-timeout-seconds": "2",
    "alb.ingress.kubernetes.io/healthy-threshold-count": "2",
    "alb.ingress.kubernetes.io/target-group-attributes": "deregistration_delay.timeout_seconds=60",
  };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { ...meta(name), annotations },
    spec: { ingressClassName: "alb", defaultBackend: { service: { name, port: { number: 80 } } } },
  };
}
