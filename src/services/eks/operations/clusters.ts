import type {
  DeleteClusterRequest,
  DeleteClusterResponse,
  DescribeClusterRequest,
  DescribeClusterResponse,
  ListClustersRequest,
  ListClustersResponse,
} from "@aws-sdk/client-eks";
import { scopePrefix } from "../../../core/scope.ts";
import { invalidParameter, invalidRequest, resourceInUse } from "../errors.ts";
import { clusterKey, CLUSTERS, CONTROL_PLANES, FARGATE_PROFILES, recordPrefix } from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";
import { clusterView } from "../views.ts";

const PAGE = 100;

/** @throws ResourceNotFoundException, also once a cluster that was deleted is gone */
export function describeCluster(room: EksRoom) {
  return operation<DescribeClusterRequest, DescribeClusterResponse>({
    name: "DescribeCluster",
    members: { name: "used" },
    async handle({ name = "" }, context) {
      const { key, value } = await requireCluster(room, context, name);
      return { cluster: clusterView(value, (await room.store.get(CONTROL_PLANES, key))?.value) };
    },
  });
}

/** Names, in their order. */
export function listClusters(room: EksRoom) {
  return operation<ListClustersRequest, ListClustersResponse>({
    name: "ListClusters",
    members: { maxResults: "used", nextToken: "used", include: { ignored: "there are no connected clusters to include" } },
    async handle({ maxResults = PAGE, nextToken }, context) {
      const prefix = scopePrefix(context);
      const after = nextToken === undefined ? undefined : Buffer.from(nextToken, "base64url").toString();
      if (after !== undefined && !after.startsWith(prefix)) throw invalidParameter("The nextToken is not valid");
      const page = await room.store.list(CLUSTERS, { prefix, ...(after !== undefined && { after }), limit: maxResults + 1 });
      const shown = page.slice(0, maxResults);
      return {
        clusters: shown.map(({ value }) => value.name),
        ...(page.length > maxResults && { nextToken: Buffer.from(shown.at(-1)?.key ?? "").toString("base64url") }),
      };
    },
  });
}

/**
 * Marks it; the controller takes all that it has away, and last the record. A second call answers as the first.
 * Differs: a cluster that is still being created is deleted too.
 * @throws ResourceNotFoundException, InvalidRequestException under deletion protection, ResourceInUseException while it has Fargate profiles
 */
export function deleteCluster(room: EksRoom) {
  return operation<DeleteClusterRequest, DeleteClusterResponse>({
    name: "DeleteCluster",
    members: { name: "used" },
    async handle({ name = "" }, context) {
      const { value: known } = await requireCluster(room, context, name);
      if ((await room.store.list(FARGATE_PROFILES, { prefix: recordPrefix(known), limit: 1 })).length > 0) {
        throw resourceInUse("Cluster has Fargate Profiles in ACTIVE/CREATING state", name);
      }
      const record = await changeRecord(room, CLUSTERS, {
        find: () => requireCluster(room, context, name),
        change: (cluster) => {
          if (cluster.deletingSinceMs !== undefined) return cluster;
          if (cluster.deletionProtection) {
            throw invalidRequest(`Cluster ${name} cannot be deleted because deletion protection is enabled`, name);
          }
          return { ...cluster, deletingSinceMs: context.nowMs };
        },
      });
      const plane = await room.store.get(CONTROL_PLANES, clusterKey(record, name));
      return { cluster: clusterView(record, plane?.value) };
    },
  });
}
