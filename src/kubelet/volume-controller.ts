import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import { OWNER } from "./compile-pod.ts";
import { isOfFiles, volumeFiles, volumeNames } from "./pod-files.ts";
import { parsePlacementKey, placementKey, PLACEMENTS, workloadIdOf } from "./records.ts";
import type { KubeletRoom } from "./room.ts";

/**
 * Keeps the files of running pods' volumes as what they are made of: ConfigMaps, Secrets, the pod's own fields, tokens before they
 * expire. What cannot be read stays as it is. Keyed by cluster and pod UID.
 */
export function createVolumeController(room: KubeletRoom): Controller {
  /** By key: what was written last, so that nothing is compared on disk for nothing. */
  const written = new Map<string, string>();
  return {
    name: "eks-volumes",
    watches: [{ collection: PLACEMENTS, keysOf: ({ key }) => [key] }],
    sources(wake) {
      const stack = new DisposableStack();
      stack.use(room.connections.onPod(wake));
      stack.use(
        room.connections.onSource(({ clusterKey, client, kind, namespace, name }) => {
          for (const { metadata, spec } of client.pods()) {
            if (metadata?.namespace === namespace && volumeNames(spec?.volumes ?? [])[kind].has(name))
              wake(placementKey(clusterKey, metadata.uid ?? ""));
          }
        }),
      );
      stack.use(
        room.engine.watch(({ workload, status }) => {
          const { owner, clusterKey = "", podUid = "" } = workload.labels;
          if (owner === OWNER && status.state === "RUNNING") wake(placementKey(clusterKey, podUid));
        }),
      );
      return stack;
    },
    initialKeys: async () => (await room.store.list(PLACEMENTS)).map(({ key }) => key),
    async reconcile(key): Promise<ReconcileResult | void> {
      const { clusterKey, uid } = parsePlacementKey(key);
      const placement = (await room.store.get(PLACEMENTS, key))?.value;
      const cluster = await room.ports.clusters.get(clusterKey);
      if (placement === undefined || cluster === undefined || cluster.uid !== placement.clusterUid) {
        written.delete(key);
        room.sources.forget(key);
        return undefined;
      }
      const client = await room.connections.to(cluster);
      const pod = client.pod(uid);
      if (!(pod?.spec?.volumes ?? []).some(isOfFiles) || pod === undefined) return undefined;
      const id = workloadIdOf(placement);
      const status = (await room.engine.get(id))?.status;
      if (status?.network === undefined || status.desired === "STOPPED") return undefined;
      try {
        const files = volumeFiles({ pod, placement, sources: await room.sources.read(key, client, pod) });
        const text = JSON.stringify([id, files]);
        if (written.get(key) !== text) await room.engine.refresh?.(id, { files });
        written.set(key, text);
      } catch (error) {
        if (!isProblem(error, "not-found", "invalid")) throw error;
        room.logger.debug("the files of a pod's volumes stay as they are", { podUid: uid, words: messageOf(error) });
      }
      const dueMs = room.sources.nextDueMs(key);
      return dueMs === undefined ? undefined : { requeueAfterMs: Math.max(1000, dueMs - room.clock.nowMs()) };
    },
  };
}
