import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { connectKubernetes, type KubernetesClient } from "./kubernetes-client.ts";
import type { ClusterDirectory, KubeCluster } from "./ports.ts";
import { placementKey } from "./records.ts";

export interface ConnectionsOptions {
  readonly clusters: Pick<ClusterDirectory, "adminCertificate">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One client for each cluster that serves, made when it is first asked for. */
export class Connections implements Disposable {
  readonly #options: ConnectionsOptions;
  readonly #open = new Map<string, { readonly uid: string; readonly client: Promise<KubernetesClient> }>();
  /** Called with the key of a pod that is new, changed or gone. */
  onPod: (key: string) => void = () => {};

  constructor(options: ConnectionsOptions) {
    this.#options = options;
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
    const onPod = (uid: string): void => this.onPod(placementKey(cluster.key, uid));
    return connectKubernetes({ cluster, certificate, clock, logger, onPod });
  }
}
