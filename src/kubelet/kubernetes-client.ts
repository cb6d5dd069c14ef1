import type {
  CoreV1Event,
  KubernetesObject,
  V1EndpointSlice,
  V1ConfigMap,
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1Node,
  V1Pod,
  V1Service,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
} from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { ask, unless } from "../kubernetes-client/api-errors.ts";
import { kubeConfig } from "../kubernetes-client/kube-config.ts";
import { watchObjects, type WatchOptions } from "../kubernetes-client/watch-objects.ts";
import { type ObjectsClient, objectsClient } from "./cluster-objects.ts";
import { SCHEDULER_NAME } from "./match-profile.ts";
import type { KeyedContent, TokenRequest } from "./pod-files.ts";
import type { WrittenStatus } from "./pod-status.ts";
import type { KubeCluster } from "./ports.ts";
import { watchSources, type SourceName } from "./source-watch.ts";

/** What the node side asks of one cluster's API server. Its refusals are Problems: `not-found`, `already-exists`, `conflict`, `invalid`, else `unavailable`. */
export interface KubernetesClient extends Disposable {
  /** Of the Fargate scheduler's pods, as the watch last told. */
  pod(uid: string): V1Pod | undefined;
  pods(): readonly V1Pod[];
  /** Of all namespaces, as the watch last told; so are the slices. */
  services(): readonly V1Service[];
  endpointSlices(): readonly V1EndpointSlice[];
  /** Merges annotations and labels of the binding into the pod. */
  bind(pod: V1Pod, nodeName: string, annotations: Readonly<Record<string, string>>): Promise<void>;
  /** Leaves conditions that others wrote. */
  writeStatus(pod: V1Pod, status: WrittenStatus | Pick<WrittenStatus, "conditions">): Promise<void>;
  /** Asks for its end, with the time that it has for that. Idempotent. */
  deletePod(pod: V1Pod): Promise<void>;
  /** The last step of a deletion: the object goes. Idempotent. */
  finishDeletion(pod: V1Pod): Promise<void>;
  /** What would come of the pod if it were made; it is not. */
  tryPod(pod: V1Pod): Promise<V1Pod>;
  createNode(node: V1Node): Promise<V1Node>;
  node(name: string): Promise<V1Node | undefined>;
  /** Idempotent. */
  deleteNode(name: string): Promise<void>;
  /** Says that the node lives. */
  renewLease(nodeName: string): Promise<void>;
  /** As the API server has it now, or had it when its watch last told of a change. */
  awsAuth(): Promise<V1ConfigMap | undefined>;
  configMap(namespace: string, name: string): Promise<SourceObject | undefined>;
  /** The texts of one, read anew. */
  configMapText(namespace: string, name: string): Promise<Readonly<Record<string, string>> | undefined>;
  namespaceLabels(name: string): Promise<Readonly<Record<string, string>> | undefined>;
  secret(namespace: string, name: string): Promise<SourceObject | undefined>;
  /** A token of the pod's service account, bound to the pod. `audience` "": the API server's. */
  token(pod: V1Pod, request: TokenRequest): Promise<IssuedToken>;
  sendEvent(namespace: string, event: CoreV1Event): Promise<void>;
  /** Whose a token is that the API server takes; `undefined` for any other. */
  userOf(token: string): Promise<ReviewedUser | undefined>;
  /** Whether somebody may `get` a subresource of a node. */
  mayGetNode(user: ReviewedUser, of: { readonly name: string; readonly subresource: string }): Promise<boolean>;
  readonly objects: ObjectsClient;
  /** Makes the policy and its binding, or makes them so again. */
  admit(policy: V1MutatingAdmissionPolicy, binding: V1MutatingAdmissionPolicyBinding): Promise<void>;
  /** The same, of what is refused. */
  forbid(policy: V1ValidatingAdmissionPolicy, binding: V1ValidatingAdmissionPolicyBinding): Promise<void>;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAtMs: number;
}

/** What a ConfigMap or Secret holds. */
export interface SourceObject {
  readonly data: KeyedContent;
  readonly isImmutable: boolean;
}

/** A user, as the API server knows him. */
export interface ReviewedUser {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, string[]>>;
}

export interface ClientOptions {
  readonly cluster: KubeCluster;
  readonly certificate: { readonly certificate: string; readonly key: string };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with the UID of each pod that is new, changed or gone. */
  readonly onPod: (uid: string) => void;
  /** Called for each ConfigMap and Secret that is there, and each time one changes. */
  readonly onSource: (source: SourceName) => void;
  /** Called when a service or its endpoints have changed. */
  readonly onService: () => void;
}

/** Whom a cluster lets in, beside its access entries. */
export const AWS_AUTH = { namespace: "kube-system", name: "aws-auth" };
const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const PODS = `/api/v1/pods`;

/** Resolves once pods, services and their endpoints are known. The library is loaded with the first cluster. */
export async function connectKubernetes(options: ClientOptions): Promise<KubernetesClient> {
  const { cluster, certificate, clock, logger } = options;
  const kubernetes = await import("@kubernetes/client-node");
  const config = await kubeConfig({ ...cluster, certificate });
  const core = config.makeApiClient(kubernetes.CoreV1Api);
  const authentication = config.makeApiClient(kubernetes.AuthenticationV1Api);
  const authorization = config.makeApiClient(kubernetes.AuthorizationV1Api);
  const leases = config.makeApiClient(kubernetes.CoordinationV1Api);
  const admission = config.makeApiClient(kubernetes.AdmissionregistrationV1Api);
  const strategic = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.StrategicMergePatch);
  const merge = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.MergePatch);

  const fieldSelector = `spec.schedulerName=${SCHEDULER_NAME}`;
  const discovery = config.makeApiClient(kubernetes.DiscoveryV1Api);
  using opened = new DisposableStack();
  const watched = async <T extends KubernetesObject>(watch: Pick<WatchOptions<T>, "path" | "list" | "fieldSelector" | "onChange">) =>
    opened.use(await watchObjects({ ...watch, config, clock, logger: logger.child({ clusterArn: cluster.arn }) }));
  const [pods, services, slices] = [
    await watched({
      path: PODS,
      list: () => core.listPodForAllNamespaces({ fieldSelector }),
      fieldSelector,
      onChange: ({ metadata }) => options.onPod(metadata?.uid ?? ""),
    }),
    await watched({ path: "/api/v1/services", list: () => core.listServiceForAllNamespaces(), onChange: options.onService }),
    await watched({
      path: "/apis/discovery.k8s.io/v1/endpointslices",
      list: () => discovery.listEndpointSliceForAllNamespaces(),
      onChange: options.onService,
    }),
  ];
  const read = new Map<string, Promise<SourceObject | undefined>>();
  const sourceKey = ({ kind, namespace, name }: SourceName): string => `${kind}/${namespace}/${name}`;
  opened.use(
    watchSources({
      kubernetes,
      config,
      clock,
      logger,
      onSource(source) {
        read.delete(sourceKey(source));
        options.onSource(source);
      },
      onBegun: () => read.clear(),
    }),
  );
  /** What is not there is asked for each time: the watch may be about to tell of it. */
  const source = (name: SourceName, ask: () => Promise<SourceObject | undefined>): Promise<SourceObject | undefined> => {
    const key = sourceKey(name);
    const known = read.get(key);
    if (known !== undefined) return known;
    const asked = ask();
    read.set(key, asked);
    const forget = (): void => void (read.get(key) === asked && read.delete(key));
    asked.then((found) => (found === undefined ? forget() : undefined), forget);
    return asked;
  };
  const objects = await objectsClient(config);
  const open = opened.move();

  return {
    [Symbol.dispose]: () => open.dispose(),
    pod: (uid) => pods.get(uid),
    pods: () => pods.list(),
    services: () => services.list(),
    endpointSlices: () => slices.list(),
    objects,
    async bind(pod, nodeName, annotations) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      const body = { metadata: { name, namespace, uid, annotations }, target: { apiVersion: "v1", kind: "Node", name: nodeName } };
      await ask(() => core.createNamespacedPodBinding({ name, namespace, body }));
    },
    async writeStatus(pod, status) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      // Conditions are merged: what one does not say any more has to be taken away.
      const conditions = status.conditions.map((each) => ({ ...each, reason: each.reason ?? null, message: each.message ?? null }));
      await ask(() => core.patchNamespacedPodStatus({ name, namespace, body: { metadata: { uid }, status: { ...status, conditions } } }, strategic));
    },
    async deletePod(pod) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      await unless("not-found", () => core.deleteNamespacedPod({ name, namespace, body: { preconditions: { uid } } }));
    },
    async finishDeletion(pod) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      const body = { gracePeriodSeconds: 0, preconditions: { uid } };
      await unless("not-found", () => core.deleteNamespacedPod({ name, namespace, body }));
    },
    tryPod: (body) => ask(() => core.createNamespacedPod({ namespace: body.metadata?.namespace ?? "", body, dryRun: "All" })),
    createNode: (body) => ask(() => core.createNode({ body })),
    node: (name) => unless("not-found", () => core.readNode({ name })),
    async deleteNode(name) {
      await unless("not-found", () => core.deleteNode({ name }));
    },
    async renewLease(name) {
      const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: new kubernetes.V1MicroTime(clock.nowMs()) };
      const patch = { spec: { ...spec, renewTime: new Date(clock.nowMs()).toISOString().replace("Z", "000Z") } };
      const renew = () => leases.patchNamespacedLease({ name, namespace: LEASE_NAMESPACE, body: patch }, merge);
      if ((await unless("not-found", renew)) !== undefined) return;
      const node = await ask(() => core.readNode({ name }));
      const ownerReferences = [{ apiVersion: "v1", kind: "Node", name, uid: node.metadata?.uid ?? "" }];
      const body = { metadata: { name, ownerReferences }, spec };
      // Who binds the pod and who renews leases may both be here for the first time.
      const made = await unless("already-exists", () => leases.createNamespacedLease({ namespace: LEASE_NAMESPACE, body }));
      if (made === undefined) await ask(renew);
    },
    awsAuth: () => unless("not-found", () => core.readNamespacedConfigMap(AWS_AUTH)),
    async configMapText(namespace, name) {
      const found = await unless("not-found", () => core.readNamespacedConfigMap({ name, namespace }));
      return found === undefined ? undefined : (found.data ?? {});
    },
    async namespaceLabels(name) {
      const found = await unless("not-found", () => core.readNamespace({ name }));
      return found === undefined ? undefined : (found.metadata?.labels ?? {});
    },
    configMap: (namespace, name) =>
      source({ kind: "configMaps", namespace, name }, async () => {
        const found = await unless("not-found", () => core.readNamespacedConfigMap({ name, namespace }));
        return found && { data: { ...found.data, ...decoded(found.binaryData) }, isImmutable: found.immutable ?? false };
      }),
    secret: (namespace, name) =>
      source({ kind: "secrets", namespace, name }, async () => {
        const found = await unless("not-found", () => core.readNamespacedSecret({ name, namespace }));
        return found && { data: decoded(found.data), isImmutable: found.immutable ?? false };
      }),
    async token(pod, { audience, seconds }) {
      const { name: podName = "", namespace = "", uid } = pod.metadata ?? {};
      const spec = {
        audiences: audience === "" ? [] : [audience],
        expirationSeconds: seconds,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name: podName, uid },
      };
      const name = pod.spec?.serviceAccountName ?? "default";
      const made = await ask(() => core.createNamespacedServiceAccountToken({ name, namespace, body: { spec } }));
      return { token: made.status?.token ?? "", expiresAtMs: made.status?.expirationTimestamp?.getTime() ?? clock.nowMs() };
    },
    async sendEvent(namespace, body) {
      await ask(() => core.createNamespacedEvent({ namespace, body }));
    },
    async userOf(token) {
      const { status } = await ask(() => authentication.createTokenReview({ body: { spec: { token } } }));
      const { username = "", uid, groups = [], extra } = status?.user ?? {};
      return status?.authenticated === true ? { username, uid, groups, extra } : undefined;
    },
    async mayGetNode({ username, uid, groups, extra }, { name, subresource }) {
      const resourceAttributes = { verb: "get", group: "", version: "v1", resource: "nodes", name, subresource };
      const spec = { user: username, uid, groups: [...groups], extra, resourceAttributes };
      const { status } = await ask(() => authorization.createSubjectAccessReview({ body: { spec } }));
      return status?.allowed === true;
    },
    admit: (policy, binding) =>
      put(policy, binding, {
        read: (name) => admission.readMutatingAdmissionPolicy({ name }),
        create: (body) => admission.createMutatingAdmissionPolicy({ body }),
        replace: (name, body) => admission.replaceMutatingAdmissionPolicy({ name, body }),
        readBinding: (name) => admission.readMutatingAdmissionPolicyBinding({ name }),
        bind: (body) => admission.createMutatingAdmissionPolicyBinding({ body }),
      }),
    forbid: (policy, binding) =>
      put(policy, binding, {
        read: (name) => admission.readValidatingAdmissionPolicy({ name }),
        create: (body) => admission.createValidatingAdmissionPolicy({ body }),
        replace: (name, body) => admission.replaceValidatingAdmissionPolicy({ name, body }),
        readBinding: (name) => admission.readValidatingAdmissionPolicyBinding({ name }),
        bind: (body) => admission.createValidatingAdmissionPolicyBinding({ body }),
      }),
  };
}

interface PolicyCalls<Policy, Binding> {
  readonly read: (name: string) => Promise<Policy>;
  readonly create: (policy: Policy) => Promise<unknown>;
  readonly replace: (name: string, policy: Policy) => Promise<unknown>;
  readonly readBinding: (name: string) => Promise<Binding>;
  readonly bind: (binding: Binding) => Promise<unknown>;
}

async function put<Policy extends KubernetesObject & { spec?: unknown }, Binding>(
  policy: Policy,
  binding: Binding,
  calls: PolicyCalls<Policy, Binding>,
): Promise<void> {
  const name = policy.metadata?.name ?? "";
  const found = await unless("not-found", () => calls.read(name));
  if (found === undefined) await ask(() => calls.create(policy));
  else if (!holds(found.spec, policy.spec)) {
    const metadata = { name, resourceVersion: found.metadata?.resourceVersion };
    await ask(() => calls.replace(name, { ...policy, metadata }));
  }
  if ((await unless("not-found", () => calls.readBinding(name))) === undefined) await ask(() => calls.bind(binding));
}

/** Whether an object has all that another has; it may have more, as the API server fills in what is left out. */
function holds(object: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return object === wanted || wanted === undefined;
  if (typeof object !== "object" || object === null) return false;
  if (Array.isArray(wanted) && (!Array.isArray(object) || object.length !== wanted.length)) return false;
  return Object.entries(wanted).every(([key, value]) => holds((object as Readonly<Record<string, unknown>>)[key], value));
}

function decoded(data: Readonly<Record<string, string>> = {}): KeyedContent {
  return Object.fromEntries(
    Object.entries(data).map(([key, base64]) => {
      const bytes = Buffer.from(base64, "base64");
      const text = bytes.toString("utf8");
      return [key, Buffer.from(text).equals(bytes) ? text : { base64 }];
    }),
  );
}
