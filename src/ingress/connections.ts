import type { KubernetesObject } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { connectClusterObjects, type ClusterObjects, type ObjectKind } from "./cluster-objects.ts";
import type { IngressCluster, IngressClusters } from "./ports.ts";

export interface ConnectionsOptions {
  readonly clusters: Pick<IngressClusters, "adminCertificate">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ObjectChange {
  readonly clusterKey: string;
  readonly kind: ObjectKind;
  readonly object: KubernetesObject;
}

interface Open {
  readonly uid: string;
  readonly objects: Promise<ClusterObjects>;
  /** Once the objects are known. */
  ready?: ClusterObjects;
}

/** The objects of each cluster that serves, watched from when they are first asked for. */
export class Connections implements Disposable {
  readonly #options: ConnectionsOptions;
  readonly #open = new Map<string, Open>();
  readonly #listeners = new Set<(change: ObjectChange) => void>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Calls with each object that is new, changed or gone. */
  watch(listener: (change: ObjectChange) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** @throws Problem `unavailable` while its API server does not answer. */
  to(cluster: IngressCluster): Promise<ClusterObjects> {
    const known = this.#open.get(cluster.key);
    if (known?.uid === cluster.uid) return known.objects;
    this.close(cluster.key);
    const made: Open = { uid: cluster.uid, objects: this.#connect(cluster) };
    this.#open.set(cluster.key, made);
    made.objects.then(
      (objects) => void (made.ready = objects),
      () => {
        if (this.#open.get(cluster.key) === made) this.#open.delete(cluster.key);
      },
    );
    return made.objects;
  }

  /** What is known by now, without asking. */
  known(clusterKey: string): ClusterObjects | undefined {
    return this.#open.get(clusterKey)?.ready;
  }

  close(clusterKey: string): void {
    const known = this.#open.get(clusterKey);
    this.#open.delete(clusterKey);
    void known?.objects.then(
      (objects) => objects[Symbol.dispose](),
      () => {},
    );
  }

  [Symbol.dispose](): void {
    for (const key of this.#open.keys()) this.close(key);
  }

  async #connect(cluster: IngressCluster): Promise<ClusterObjects> {
    const { clusters, clock, logger } = this.#options;
    const certificate = await clusters.adminCertificate(cluster.key);
    const onChange = (kind: ObjectKind, object: KubernetesObject): void => {
      for (const listener of this.#listeners) listener({ clusterKey: cluster.key, kind, object });
    };
    return connectClusterObjects({ cluster, certificate, clock, logger, onChange });
  }
}
