import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { connectKubernetes, type KubernetesClient } from "./kubernetes-client.ts";
import type { ClusterDirectory, KubeCluster } from "./ports.ts";
import { placementKey } from "./records.ts";
import type { SourceName } from "./source-watch.ts";

export interface ConnectionsOptions {
  readonly clusters: Pick<ClusterDirectory, "adminCertificate">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SourceChange extends SourceName {
  readonly clusterKey: string;
  readonly client: KubernetesClient;
}

/** One client for each cluster that serves, made when it is first asked for. */
export class Connections implements Disposable {
  readonly #options: ConnectionsOptions;
  readonly #open = new Map<string, { readonly uid: string; readonly client: Promise<KubernetesClient> }>();
  readonly #podListeners = new Set<(key: string) => void>();
  readonly #sourceListeners = new Set<(change: SourceChange) => void>();
  readonly #serviceListeners = new Set<(clusterKey: string) => void>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Calls with the key of a pod that is new, changed or gone. */
  onPod(listener: (key: string) => void): Disposable {
    this.#podListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#podListeners.delete(listener) };
  }

  /** Calls for each ConfigMap or Secret that is new, changed or gone, in whatever namespace; for all of them, when a watch begins. */
  onSource(listener: (change: SourceChange) => void): Disposable {
    this.#sourceListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#sourceListeners.delete(listener) };
  }

  /** Calls with the key of a cluster whose services or endpoints have changed. */
  onService(listener: (clusterKey: string) => void): Disposable {
    this.#serviceListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#serviceListeners.delete(listener) };
  }

  /** @throws Problem `unavailable` while its API server does not answer. */
  to(cluster: KubeCluster): Promise<KubernetesClient> {
    const known = this.#open.get(cluster.key);
    if (known?.uid === cluster.uid) return known.client;
    this.close(cluster.key);
    const client = this.#connect(cluster);
    this.#open.set(cluster.key, { uid: cluster.uid, client });
    client.catch(() => {
      if (this.#open.get(cluster.key)?.client === client) this.#open.delete(cluster.key);
    });
    return client;
  }

  close(clusterKey: string): void {
    const known = this.#open.get(clusterKey);
    this.#open.delete(clusterKey);
    void known?.client.then(
      (client) => client[Symbol.dispose](),
      () => {},
    );
  }

  [Symbol.dispose](): void {
    for (const key of this.#open.keys()) this.close(key);
  }

  async #connect(cluster: KubeCluster): Promise<KubernetesClient> {
    const { clusters, clock, logger } = this.#options;
    const certificate = await clusters.adminCertificate(cluster.key);
    const onPod = (uid: string): void => this.#podListeners.forEach((listener) => listener(placementKey(cluster.key, uid)));
    const onService = (): void => this.#serviceListeners.forEach((listener) => listener(cluster.key));
    let client: KubernetesClient | undefined;
    const onSource = (source: SourceName): void => {
      if (client === undefined) return;
      for (const listener of this.#sourceListeners) listener({ ...source, clusterKey: cluster.key, client });
    };
    client = await connectKubernetes({ cluster, certificate, clock, logger, onPod, onSource, onService });
    return client;
  }
}
