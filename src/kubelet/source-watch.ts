import type * as Kubernetes from "@kubernetes/client-node";
import type { KubeConfig, V1ObjectMeta } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";

/** A ConfigMap or Secret, by its name. */
export interface SourceName {
  readonly kind: "configMaps" | "secrets";
  readonly namespace: string;
  readonly name: string;
}

export interface SourceWatchOptions {
  readonly kubernetes: typeof Kubernetes;
  readonly config: KubeConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whatever was read of it before is out of date. */
  readonly onSource: (source: SourceName) => void;
  /** The watch has begun with all that is there: whatever is not told of it now may have gone unseen. */
  readonly onBegun: (kind: SourceName["kind"]) => void;
}

/** Of all that the objects hold only names and versions are sent: the API server leaves the rest out. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PATHS = { configMaps: "/api/v1/configmaps", secrets: "/api/v1/secrets" } as const;
const AGAIN_MS = 1000;
/** The API server sends a bookmark about once a minute: one that says nothing for longer is gone. */
const SILENCE_MS = 150_000;

/** Tells of each ConfigMap and Secret of a cluster that is there at first, and that changes. Begins anew where it breaks off. */
export function watchSources(options: SourceWatchOptions): Disposable {
  const ended = new AbortController();
  for (const kind of Object.keys(PATHS) as readonly SourceName["kind"][]) follow(options, kind, ended.signal);
  return { [Symbol.dispose]: () => ended.abort() };
}

function follow({ kubernetes, config, clock, logger, onSource, onBegun }: SourceWatchOptions, kind: SourceName["kind"], signal: AbortSignal): void {
  class MetadataConfig extends kubernetes.KubeConfig {
    override async applySecurityAuthentication(context: Parameters<KubeConfig["applySecurityAuthentication"]>[0]): Promise<void> {
      await super.applySecurityAuthentication(context);
      context.setHeaderParam("Accept", METADATA_ONLY);
    }
  }
  const own = new MetadataConfig();
  own.loadFromOptions({
    clusters: config.clusters,
    users: config.users,
    contexts: config.contexts,
    currentContext: config.currentContext,
  });
  const watch = new kubernetes.Watch(own);
  Object.assign(watch, { requestTimeoutMs: SILENCE_MS });
  /** Where to go on; "": with all that is there. */
  let from = "";
  let current: AbortController | undefined;
  signal.addEventListener("abort", () => current?.abort(), { once: true });
  const begin = async (): Promise<void> => {
    if (signal.aborted) return;
    const isAnew = from === "";
    const query = { allowWatchBookmarks: true, ...(from !== "" && { resourceVersion: from }) };
    const onEvent = (type: string, object: { readonly metadata?: V1ObjectMeta }): void => {
      if (type === "ERROR") {
        // What it was to go on from is too long ago.
        from = "";
        return;
      }
      const { name = "", namespace = "", resourceVersion } = object.metadata ?? {};
      from = resourceVersion ?? from;
      if (type !== "BOOKMARK") onSource({ kind, namespace, name });
    };
    current = await watch.watch(PATHS[kind], query, onEvent, (error: unknown) => {
      if (signal.aborted) return;
      if (error) logger.debug("the watch of a cluster's ConfigMaps or Secrets broke off; it begins anew", { kind, err: error });
      if ((error as { readonly statusCode?: number } | null)?.statusCode === 410) from = "";
      clock.setTimer(AGAIN_MS, () => void begin());
    });
    if (signal.aborted) current.abort();
    else if (isAnew) onBegun(kind);
  };
  void begin();
}
