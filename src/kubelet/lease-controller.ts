import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import { nodeNameOf } from "./node-object.ts";
import { PLACEMENTS } from "./records.ts";
import type { KubeletRoom } from "./room.ts";

const RENEW_EVERY_MS = 10_000;

/** Renews the leases of a cluster's nodes, so that Kubernetes takes them for alive. Keyed by cluster; idle while it has no pods. */
export function createLeaseController(room: KubeletRoom): Controller {
  return {
    name: "eks-lease",
    watches: [{ collection: PLACEMENTS, keysOf: ({ value }) => (value?.address === undefined ? [] : [value.clusterKey]) }],
    initialKeys: async () => (await room.ports.clusters.list()).map(({ key }) => key),
    async reconcile(key): Promise<ReconcileResult | void> {
      const cluster = await room.ports.clusters.get(key);
      if (cluster === undefined) return undefined;
      const placements = (await room.store.list(PLACEMENTS, { prefix: `${key}|` })).filter(({ value }) => value.address !== undefined);
      if (placements.length === 0) return undefined;
      const client = await room.connections.to(cluster);
      await Promise.all(
        placements.map(({ value }) =>
          // Its node may not be there yet, or not any more.
          client.renewLease(nodeNameOf(value)).catch((error: unknown) => room.logger.debug("a lease was not renewed", { err: error })),
        ),
      );
      return { requeueAfterMs: RENEW_EVERY_MS };
    },
  };
}
