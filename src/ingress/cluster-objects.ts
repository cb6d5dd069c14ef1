import type {
  CoreV1Event,
  KubernetesObject,
  V1EndpointSlice,
  V1Ingress,
  V1IngressClass,
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1Pod,
  V1Service,
} from "@kubernetes/client-node";
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { ask, unless } from "../kubernetes-client/api-errors.ts";
import { kubeConfig } from "../kubernetes-client/kube-config.ts";
import { type ObjectWatch, watchObjects, type WatchOptions } from "../kubernetes-client/watch-objects.ts";
import { CONTROLLER, DEFAULT_CLASS } from "./ingress-group.ts";
import type { IngressCluster } from "./ports.ts";

export type ObjectKind = "service" | "ingress" | "ingress-class" | "endpoint-slice" | "pod";

/** What is asked of one cluster's API server for its load balancers. Refusals are Problems. */
export interface ClusterObjects extends Disposable {
  readonly services: ObjectWatch<V1Service>;
  readonly ingresses: ObjectWatch<V1Ingress>;
  readonly classes: ObjectWatch<V1IngressClass>;
  readonly slices: ObjectWatch<V1EndpointSlice>;
  readonly pods: ObjectWatch<V1Pod>;
  /** @throws Problem `conflict` when the object is not as it was seen. */
  setFinalizers(object: V1Service | V1Ingress, finalizers: readonly string[]): Promise<void>;
  /** The name by which it is reached; none: it is not reached any more. */
  setHostname(object: V1Service | V1Ingress, hostname: string | undefined): Promise<void>;
  setCondition(pod: V1Pod, condition: PodCondition): Promise<void>;
  sendEvent(namespace: string, event: CoreV1Event): Promise<void>;
  /** Makes the IngressClass `alb` unless there is one. */
  ensureClass(): Promise<void>;
  /** Makes the policy and its binding, or makes them so again. */
  admit(policy: V1MutatingAdmissionPolicy, binding: V1MutatingAdmissionPolicyBinding): Promise<void>;
}

export interface PodCondition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime: string;
}

export interface ClusterObjectsOptions {
  readonly cluster: IngressCluster;
  readonly certificate: { readonly certificate: string; readonly key: string };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with each object that is new, changed or gone. */
  readonly onChange: (kind: ObjectKind, object: KubernetesObject) => void;
}

/** Resolves once all objects are known. @throws Problem `unavailable` while the API server does not answer. */
export async function connectClusterObjects(options: ClusterObjectsOptions): Promise<ClusterObjects> {
  const { cluster, certificate, clock, logger, onChange } = options;
  const kubernetes = await import("@kubernetes/client-node");
  const config = await kubeConfig({ ...cluster, certificate });
  const core = config.makeApiClient(kubernetes.CoreV1Api);
  const networking = config.makeApiClient(kubernetes.NetworkingV1Api);
  const discovery = config.makeApiClient(kubernetes.DiscoveryV1Api);
  const admission = config.makeApiClient(kubernetes.AdmissionregistrationV1Api);
  const merge = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.MergePatch);
  const strategic = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.StrategicMergePatch);
  await using stack = new AsyncDisposableStack();
  const watched = async <T extends KubernetesObject>(kind: ObjectKind, path: string, list: WatchOptions<T>["list"]): Promise<ObjectWatch<T>> => {
    const common = { config, clock, logger: logger.child({ clusterArn: cluster.arn }) };
    return stack.use(await watchObjects<T>({ ...common, path, list, onChange: (object) => onChange(kind, object) }));
  };
  const [services, ingresses, classes, slices, pods] = await Promise.all([
    watched<V1Service>("service", "/api/v1/services", () => core.listServiceForAllNamespaces()),
    watched<V1Ingress>("ingress", "/apis/networking.k8s.io/v1/ingresses", () => networking.listIngressForAllNamespaces()),
    watched<V1IngressClass>("ingress-class", "/apis/networking.k8s.io/v1/ingressclasses", () => networking.listIngressClass()),
    watched<V1EndpointSlice>("endpoint-slice", "/apis/discovery.k8s.io/v1/endpointslices", () => discovery.listEndpointSliceForAllNamespaces()),
    watched<V1Pod>("pod", "/api/v1/pods", () => core.listPodForAllNamespaces()),
  ]);
  const disposal = stack.move();
  return {
    services,
    ingresses,
    classes,
    slices,
    pods,
    [Symbol.dispose]: () => void disposal.disposeAsync(),
    async setFinalizers(object, finalizers) {
      const { name = "", namespace = "", resourceVersion } = object.metadata ?? {};
      const request = { name, namespace, body: { metadata: { finalizers, resourceVersion } } };
      await unless<unknown>("not-found", () =>
        isIngress(object) ? networking.patchNamespacedIngress(request, merge) : core.patchNamespacedService(request, merge),
      );
    },
    async setHostname(object, hostname) {
      const { name = "", namespace = "" } = object.metadata ?? {};
      const wanted = hostname === undefined ? undefined : [{ hostname }];
      const known = object.status?.loadBalancer?.ingress?.map((each) => ({ hostname: each.hostname }));
      if (isDeepStrictEqual(known, wanted)) return;
      const request = { name, namespace, body: { status: { loadBalancer: { ingress: wanted ?? null } } } };
      await unless<unknown>("not-found", () =>
        isIngress(object) ? networking.patchNamespacedIngressStatus(request, merge) : core.patchNamespacedServiceStatus(request, merge),
      );
    },
    async setCondition(pod, condition) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      const body = { metadata: { uid }, status: { conditions: [condition] } };
      await unless("not-found", () => core.patchNamespacedPodStatus({ name, namespace, body }, strategic));
    },
    async sendEvent(namespace, body) {
      await ask(() => core.createNamespacedEvent({ namespace, body }));
    },
    async ensureClass() {
      if (classes.list().some(({ metadata }) => metadata?.name === DEFAULT_CLASS)) return;
      const body = { metadata: { name: DEFAULT_CLASS }, spec: { controller: CONTROLLER } };
      await unless("already-exists", () => networking.createIngressClass({ body }));
    },
    async admit(policy, binding) {
      const name = policy.metadata?.name ?? "";
      const found = await unless("not-found", () => admission.readMutatingAdmissionPolicy({ name }));
      if (found === undefined) await ask(() => admission.createMutatingAdmissionPolicy({ body: policy }));
      else if (JSON.stringify(found.spec?.variables) !== JSON.stringify(policy.spec?.variables)) {
        const { apiVersion, kind, spec } = policy;
        const body = { apiVersion, kind, spec, metadata: { name, resourceVersion: found.metadata?.resourceVersion } };
        await ask(() => admission.replaceMutatingAdmissionPolicy({ name, body }));
      }
      const bound = await unless("not-found", () => admission.readMutatingAdmissionPolicyBinding({ name }));
      if (bound === undefined) await ask(() => admission.createMutatingAdmissionPolicyBinding({ body: binding }));
    },
  };
}

export function isIngress(object: V1Service | V1Ingress): object is V1Ingress {
  return object.spec !== undefined && ("rules" in object.spec || "ingressClassName" in object.spec || "defaultBackend" in object.spec);
}
