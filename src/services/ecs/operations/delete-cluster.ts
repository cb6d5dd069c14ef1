import type { DeleteClusterRequest, DeleteClusterResponse } from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { clusterView } from "../cluster-view.ts";
import { activeCluster } from "../lookups.ts";
import { lastStatusOf } from "../observed-task.ts";
import { clusters, services } from "../records.ts";
import type { Room } from "../room.ts";
import { CLUSTER_TRANSITIONS, transition } from "../transitions.ts";

/** Makes an empty cluster INACTIVE; it stays describable. @throws ClusterContainsServicesException, ClusterContainsTasksException, ClusterNotFoundException */
export function deleteCluster(room: Room): Operation<DeleteClusterRequest, DeleteClusterResponse> {
  return {
    name: "DeleteCluster",
    members: { cluster: "used" },
    async handle(input, context) {
      const stored = await activeCluster(room, context, input.cluster);
      await room.tasks.ready();
      const own = await room.store.list(services, { prefix: `${stored.key}/` });
      if (own.some((service) => service.value.status !== "INACTIVE")) {
        throw new AwsError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.");
      }
      if (room.tasks.inCluster(stored.key).some((task) => lastStatusOf(task) !== "STOPPED")) {
        throw new AwsError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.");
      }
      const value = { ...stored.value, status: transition(CLUSTER_TRANSITIONS, stored.value.status, "INACTIVE"), inactiveAtMs: context.nowMs };
      await room.store.transact([{ op: "update", collection: clusters, key: stored.key, value, ifRevision: stored.revision }]);
      return { cluster: await clusterView(room, value, ["TAGS", "SETTINGS"]) };
    },
  };
}
