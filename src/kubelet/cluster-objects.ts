import type { KubeConfig } from "@kubernetes/client-node";
import { isProblem, Problem } from "../core/problem.ts";
import { ask, statusOf, unless } from "../kubernetes-client/api-errors.ts";
import { SCHEDULER_NAME } from "./match-profile.ts";
import type { Connections } from "./connections.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import type { ClusterDirectory } from "./ports.ts";

/** An object as its YAML says it. */
export type ClusterObject = Readonly<Record<string, unknown>> & ObjectReference;

/** Which one; without a namespace, of the whole cluster. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string } & Readonly<Record<string, unknown>>;
}

/** A field that somebody else has set to something else: its path, e.g. `.spec.replicas`, and who. */
export interface FieldConflict {
  readonly field: string;
  readonly message: string;
}

/** Objects of any kind in one cluster. Refusals are Problems, as the client's. */
export interface ObjectsClient {
  /** By server-side apply, as `fieldManager`; answers the conflicts for which nothing was changed. `force` has none. */
  apply(object: ClusterObject, options: { readonly fieldManager: string; readonly force: boolean }): Promise<readonly FieldConflict[]>;
  read(reference: ObjectReference): Promise<ClusterObject | undefined>;
  /** What belongs to it goes too, later. Idempotent. */
  remove(reference: ObjectReference): Promise<void>;
}

export async function objectsClient(config: KubeConfig): Promise<ObjectsClient> {
  const { KubernetesObjectApi, PatchStrategy } = await import("@kubernetes/client-node");
  const objects = KubernetesObjectApi.makeApiClient(config);
  return {
    async apply(object, { fieldManager, force }) {
      try {
        await ask(() => objects.patch(object, undefined, undefined, fieldManager, force, PatchStrategy.ServerSideApply));
        return [];
      } catch (error) {
        if (!isProblem(error, "conflict")) throw error;
        const causes = statusOf(error.cause).details?.causes ?? [];
        const conflicts = causes.filter(({ reason }) => reason === "FieldManagerConflict");
        if (conflicts.length === 0) throw error;
        return conflicts.map(({ field = "", message = "" }) => ({ field, message }));
      }
    },
    read: (reference) => unless("not-found", () => objects.read<ClusterObject>({ ...reference, metadata: { ...reference.metadata } })),
    async remove(reference) {
      const found = { ...reference, metadata: { ...reference.metadata } };
      await unless("not-found", () => objects.delete(found, undefined, undefined, undefined, undefined, "Background"));
    },
  };
}

interface PodLabels {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The objects of all clusters, by a cluster's key. @throws Problem `unavailable` while its API server does not answer. */
export interface ClusterObjects {
  of(clusterKey: string): Promise<
    ObjectsClient & {
      /** Whether a pod of these labels would be one of Fargate's, as the API server sees it now. */
      isOnFargate(pod: PodLabels): Promise<boolean>;
    }
  >;
}

export function clusterObjects({
  clusters,
  connections,
}: {
  readonly clusters: ClusterDirectory;
  readonly connections: Connections;
}): ClusterObjects {
  return {
    async of(clusterKey) {
      const cluster = await clusters.get(clusterKey);
      if (cluster === undefined) throw new Problem("unavailable", `the cluster ${clusterKey} does not serve`);
      const client = await connections.to(cluster);
      return { ...client.objects, isOnFargate: (pod) => isOnFargate(client, pod) };
    },
  };
}

async function isOnFargate(client: KubernetesClient, { namespace, labels }: PodLabels): Promise<boolean> {
  try {
    const metadata = { name: "tidegate-probe", namespace, labels: { ...labels } };
    return (await client.tryPod({ metadata, spec: { containers: [{ name: "none", image: "none" }] } })).spec?.schedulerName === SCHEDULER_NAME;
  } catch (error) {
    // The namespace, or its service account, is not there yet.
    if (isProblem(error, "not-found", "invalid")) return false;
    throw error;
  }
}

/** JSON is YAML too. @throws Error for what is neither. */
export async function readYaml(text: string): Promise<unknown> {
  return (await import("@kubernetes/client-node")).loadYaml(text);
}
