import type {
  ApiException,
  CoreV1Event,
  V1ConfigMap,
  V1MutatingAdmissionPolicy,
  V1MutatingAdmissionPolicyBinding,
  V1Node,
  V1Pod,
} from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf, Problem, type ProblemKind } from "../core/problem.ts";
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
  secret(namespace: string, name: string): Promise<SourceObject | undefined>;
  /** A token of the pod's service account, bound to the pod. `audience` "": the API server's. */
  token(pod: V1Pod, request: TokenRequest): Promise<IssuedToken>;
  sendEvent(namespace: string, event: CoreV1Event): Promise<void>;
  /** Whose a token is that the API server takes; `undefined` for any other. */
  userOf(token: string): Promise<ReviewedUser | undefined>;
  /** Whether somebody may `get` a subresource of a node. */
  mayGetNode(user: ReviewedUser, of: { readonly name: string; readonly subresource: string }): Promise<boolean>;
  /** Makes the policy and its binding, or makes them so again. */
  admit(policy: V1MutatingAdmissionPolicy, binding: V1MutatingAdmissionPolicyBinding): Promise<void>;
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
}

const RECONNECT_MS = 1000;
/** Whom a cluster lets in, beside its access entries. */
export const AWS_AUTH = { namespace: "kube-system", name: "aws-auth" };
const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const PODS = `/api/v1/pods`;

/** Resolves once the pods are known. The library is loaded with the first cluster. */
export async function connectKubernetes(options: ClientOptions): Promise<KubernetesClient> {
  const { cluster, certificate, clock, logger } = options;
  const kubernetes = await import("@kubernetes/client-node");
  const config = new kubernetes.KubeConfig();
  config.loadFromClusterAndUser(
    { name: cluster.name, server: `https://${cluster.address}`, caData: base64(cluster.authority), skipTLSVerify: false },
    { name: "tidegate", certData: base64(certificate.certificate), keyData: base64(certificate.key) },
  );
  const core = config.makeApiClient(kubernetes.CoreV1Api);
  const authentication = config.makeApiClient(kubernetes.AuthenticationV1Api);
  const authorization = config.makeApiClient(kubernetes.AuthorizationV1Api);
  const leases = config.makeApiClient(kubernetes.CoordinationV1Api);
  const admission = config.makeApiClient(kubernetes.AdmissionregistrationV1Api);
  const strategic = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.StrategicMergePatch);
  const merge = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.MergePatch);

  const fieldSelector = `spec.schedulerName=${SCHEDULER_NAME}`;
  const known = new Map<string, V1Pod>();
  const informer = new kubernetes.ListWatch<V1Pod>(
    PODS,
    new kubernetes.Watch(config),
    () => core.listPodForAllNamespaces({ fieldSelector }),
    false,
    undefined,
    fieldSelector,
  );
  const put = (pod: V1Pod): void => {
    known.set(uidOf(pod), pod);
    options.onPod(uidOf(pod));
  };
  informer.on("add", put);
  informer.on("update", put);
  informer.on("delete", (pod) => {
    known.delete(uidOf(pod));
    options.onPod(uidOf(pod));
  });
  const ended = new AbortController();
  let first: ((error: Error) => void) | undefined;
  const restart = async (): Promise<void> => {
    try {
      if (!ended.signal.aborted) await informer.start();
    } catch (error) {
      logger.error("the watch of a cluster's pods does not begin anew; restart Tidegate", { clusterArn: cluster.arn, err: error });
    }
  };
  informer.on("error", (error: unknown) => {
    if (ended.signal.aborted) return;
    if (first !== undefined) return first(problemOf(error));
    logger.warn("the watch of a cluster's pods broke off; it begins anew", { clusterArn: cluster.arn, err: error });
    clock.setTimer(RECONNECT_MS, () => void restart());
  });
  await new Promise<void>((resolve, reject) => {
    first = reject;
    informer.start().then(resolve, reject);
  });
  first = undefined;
  const read = new Map<string, Promise<SourceObject | undefined>>();
  const sourceKey = ({ kind, namespace, name }: SourceName): string => `${kind}/${namespace}/${name}`;
  const sources = watchSources({
    kubernetes,
    config,
    clock,
    logger,
    onSource(source) {
      read.delete(sourceKey(source));
      options.onSource(source);
    },
  });
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

  return {
    [Symbol.dispose]() {
      ended.abort();
      sources[Symbol.dispose]();
      void informer.stop();
    },
    pod: (uid) => known.get(uid),
    pods: () => [...known.values()],
    async bind(pod, nodeName, annotations) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      const body = { metadata: { name, namespace, uid, annotations }, target: { apiVersion: "v1", kind: "Node", name: nodeName } };
      await ask(() => core.createNamespacedPodBinding({ name, namespace, body }));
    },
    async writeStatus(pod, status) {
      const { name = "", namespace = "", uid } = pod.metadata ?? {};
      await ask(() => core.patchNamespacedPodStatus({ name, namespace, body: { metadata: { uid }, status } }, strategic));
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
      const found = await unless("not-found", () => leases.patchNamespacedLease({ name, namespace: LEASE_NAMESPACE, body: patch }, merge));
      if (found !== undefined) return;
      const node = await ask(() => core.readNode({ name }));
      const ownerReferences = [{ apiVersion: "v1", kind: "Node", name, uid: node.metadata?.uid ?? "" }];
      await ask(() => leases.createNamespacedLease({ namespace: LEASE_NAMESPACE, body: { metadata: { name, ownerReferences }, spec } }));
    },
    awsAuth: () => unless("not-found", () => core.readNamespacedConfigMap(AWS_AUTH)),
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
    async admit(policy, binding) {
      const name = policy.metadata?.name ?? "";
      const found = await unless("not-found", () => admission.readMutatingAdmissionPolicy({ name }));
      if (found === undefined) await ask(() => admission.createMutatingAdmissionPolicy({ body: policy }));
      else if (!holds(found.spec, policy.spec)) {
        const body = {
          apiVersion: policy.apiVersion,
          kind: policy.kind,
          metadata: { name, resourceVersion: found.metadata?.resourceVersion },
          spec: policy.spec,
        };
        await ask(() => admission.replaceMutatingAdmissionPolicy({ name, body }));
      }
      const bound = await unless("not-found", () => admission.readMutatingAdmissionPolicyBinding({ name }));
      if (bound === undefined) await ask(() => admission.createMutatingAdmissionPolicyBinding({ body: binding }));
    },
  };
}

export function uidOf({ metadata }: V1Pod): string {
  return metadata?.uid ?? "";
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

const base64 = (text: string): string => Buffer.from(text).toString("base64");

async function ask<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw problemOf(error);
  }
}

async function unless<T>(kind: ProblemKind, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask(call);
  } catch (error) {
    if (error instanceof Problem && error.kind === kind) return undefined;
    throw error;
  }
}

const KINDS: Readonly<Record<number, ProblemKind>> = { 400: "invalid", 403: "invalid", 404: "not-found", 409: "conflict", 422: "invalid" };

function problemOf(error: unknown): Problem {
  const { code, body } = error as Partial<ApiException<unknown>>;
  const { message, reason } = statusOf(body);
  const kind = reason === "AlreadyExists" ? "already-exists" : (KINDS[code ?? 0] ?? "unavailable");
  return new Problem(kind, message ?? messageOf(error), { cause: error });
}

/** Kubernetes says what is wrong in a `Status`, which comes as text or read. */
function statusOf(body: unknown): { readonly message?: string; readonly reason?: string } {
  try {
    const read: unknown = typeof body === "string" ? JSON.parse(body) : body;
    return typeof read === "object" && read !== null ? read : {};
  } catch {
    return {};
  }
}
