import type * as Library from "@kubernetes/client-node";
import type { ApiException, KubeConfig, KubernetesListObject, KubernetesObject } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf, Problem, type ProblemKind } from "../core/problem.ts";

/** What all clients of clusters' API servers share: how they connect, what refusals become, and a watch that goes on. */

/** The library; loaded with the first cluster. */
export type Kubernetes = typeof Library;

export interface ApiServerAccess {
  readonly name: string;
  /** It speaks HTTPS there. */
  readonly address: string;
  /** PEM. */
  readonly authority: string;
  /** Of the client, PEM. */
  readonly certificate: { readonly certificate: string; readonly key: string };
}

export function kubeConfig(kubernetes: Kubernetes, { name, address, authority, certificate }: ApiServerAccess): KubeConfig {
  const config = new kubernetes.KubeConfig();
  config.loadFromClusterAndUser(
    { name, server: `https://${address}`, caData: base64(authority), skipTLSVerify: false },
    { name: "tidegate", certData: base64(certificate.certificate), keyData: base64(certificate.key) },
  );
  return config;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** @throws Problem `not-found`, `already-exists`, `conflict`, `invalid`, else `unavailable`; in Kubernetes' words. */
export async function ask<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw problemOf(error);
  }
}

/** The same, but a refusal of this kind is `undefined`. */
export async function unless<T>(kind: ProblemKind, call: () => Promise<T>): Promise<T | undefined> {
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

/** All objects of a kind, as the watch last told. */
export interface Watched<T> extends Disposable {
  get(uid: string): T | undefined;
  all(): readonly T[];
}

export interface WatchOptions<T extends KubernetesObject> {
  readonly kubernetes: Kubernetes;
  readonly config: KubeConfig;
  /** e.g. `/api/v1/pods`. */
  readonly path: string;
  readonly fieldSelector?: string;
  list(): Promise<KubernetesListObject<T>>;
  /** Called with each object that is new, changed or gone. */
  onChange(object: T): void;
  readonly clusterArn: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RECONNECT_MS = 1000;

/** Resolves once the objects are known. @throws Problem when they cannot be listed. */
export async function watchAll<T extends KubernetesObject>(options: WatchOptions<T>): Promise<Watched<T>> {
  const { kubernetes, config, path, fieldSelector, clock, logger, clusterArn } = options;
  const known = new Map<string, T>();
  const watch = new kubernetes.Watch(config);
  const informer = new kubernetes.ListWatch<T>(path, watch, () => options.list(), false, undefined, fieldSelector);
  const put = (object: T): void => {
    known.set(object.metadata?.uid ?? "", object);
    options.onChange(object);
  };
  informer.on("add", put);
  informer.on("update", put);
  informer.on("delete", (object) => {
    known.delete(object.metadata?.uid ?? "");
    options.onChange(object);
  });
  const ended = new AbortController();
  let first: ((error: Error) => void) | undefined;
  const restart = async (): Promise<void> => {
    try {
      if (!ended.signal.aborted) await informer.start();
    } catch (error) {
      logger.error(`the watch of a cluster's ${path} does not begin anew; restart Tidegate`, { clusterArn, err: error });
    }
  };
  informer.on("error", (error: unknown) => {
    if (ended.signal.aborted) return;
    if (first !== undefined) return first(problemOf(error));
    logger.warn(`the watch of a cluster's ${path} broke off; it begins anew`, { clusterArn, err: error });
    clock.setTimer(RECONNECT_MS, () => void restart());
  });
  await new Promise<void>((resolve, reject) => {
    first = reject;
    informer.start().then(resolve, reject);
  });
  first = undefined;
  return {
    get: (uid) => known.get(uid),
    all: () => [...known.values()],
    [Symbol.dispose]() {
      ended.abort();
      void informer.stop();
    },
  };
}
