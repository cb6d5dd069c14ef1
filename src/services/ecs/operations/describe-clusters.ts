import type { DescribeClustersRequest, DescribeClustersResponse, Failure, ListClustersRequest, ListClustersResponse } from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { scopePrefix } from "../../../core/scope.ts";
import { clusterView } from "../cluster-view.ts";
import { atMost } from "../lookups.ts";
import { clusterArn, clusterNameOf } from "../names.ts";
import { pageOf } from "../paging.ts";
import { clusterKey, clusters } from "../records.ts";
import type { Room } from "../room.ts";

/** Clusters by name or ARN, `default` when none is named; deleted ones as INACTIVE. */
export function describeClusters(room: Room): Operation<DescribeClustersRequest, DescribeClustersResponse> {
  return {
    name: "DescribeClusters",
    members: { clusters: "used", include: "used" },
    async handle(input, context) {
      atMost("clusters", input.clusters, 100);
      const references = input.clusters !== undefined && input.clusters.length > 0 ? input.clusters : ["default"];
      const found: NonNullable<DescribeClustersResponse["clusters"]> = [];
      const failures: Failure[] = [];
      for (const name of new Set(references.map((reference) => clusterNameOf(reference, context)))) {
        const stored = await room.store.get(clusters, clusterKey(context, name));
        if (stored === undefined) failures.push({ arn: clusterArn(context, name), reason: "MISSING" });
        else found.push(await clusterView(room, stored.value, input.include ?? []));
      }
      return { clusters: found, failures };
    },
  };
}

/** ARNs of the ACTIVE clusters. */
export function listClusters(room: Room): Operation<ListClustersRequest, ListClustersResponse> {
  return {
    name: "ListClusters",
    members: { nextToken: "used", maxResults: "used" },
    async handle(input, context) {
      const active = (await room.store.list(clusters, { prefix: scopePrefix(context) })).filter((stored) => stored.value.status === "ACTIVE");
      const arns = active.map((stored) => clusterArn(context, stored.value.name));
      const page = pageOf(arns.sort(), input, { idOf: (arn) => arn, defaultSize: 100 });
      return { clusterArns: [...page.items], ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) };
    },
  };
}
