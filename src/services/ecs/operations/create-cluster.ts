import type { CreateClusterRequest, CreateClusterResponse } from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { FARGATE_PROVIDERS, readStrategy } from "../capacity-rules.ts";
import { clusterView } from "../cluster-view.ts";
import { invalidParameter } from "../errors.ts";
import { isName } from "../names.ts";
import { type ClusterRecord, clusterKey, clusters } from "../records.ts";
import type { Room } from "../room.ts";
import { readTags } from "../tags.ts";
import { readInsights } from "./cluster-settings.ts";

/** Makes a cluster; one that is ACTIVE already is answered as it is. @throws InvalidParameterException */
export function createCluster(room: Room): Operation<CreateClusterRequest, CreateClusterResponse> {
  return {
    name: "CreateCluster",
    members: {
      clusterName: "used",
      tags: "used",
      settings: { ignored: "kept and shown; Container Insights' metrics are not written yet" },
      capacityProviders: "used",
      defaultCapacityProviderStrategy: "used",
      configuration: { refused: "ECS Exec and managed storage are not built yet." },
      serviceConnectDefaults: { refused: "Service Connect is not built yet." },
    },
    async handle(input, context) {
      const name = input.clusterName || "default";
      if (!isName(name))
        throw invalidParameter("Invalid cluster name. Use up to 255 letters (uppercase and lowercase), numbers, underscores and hyphens.");
      const key = clusterKey(context, name);
      const present = await room.store.get(clusters, key);
      if (present?.value.status === "ACTIVE") return { cluster: await clusterView(room, present.value, ["TAGS", "SETTINGS"]) };
      const record: ClusterRecord = {
        account: context.account,
        region: context.region,
        name,
        status: "ACTIVE",
        createdAtMs: context.nowMs,
        tags: readTags(input.tags),
        containerInsights: readInsights(input.settings) ?? "disabled",
        capacityProviders: readProviders(input.capacityProviders),
        defaultCapacityProviderStrategy: readStrategy(input.defaultCapacityProviderStrategy ?? []),
      };
      await room.store.transact([{ op: "put", collection: clusters, key, value: record }]);
      return { cluster: await clusterView(room, record, ["TAGS", "SETTINGS"]) };
    },
  };
}

/** @throws InvalidParameterException for a provider that is not built in. */
export function readProviders(names: readonly string[] | undefined): readonly string[] {
  const unknown = (names ?? []).find((name) => !FARGATE_PROVIDERS.includes(name));
  if (unknown !== undefined)
    throw invalidParameter(`The specified capacity provider '${unknown}' was not found. Only FARGATE and FARGATE_SPOT exist.`);
  return [...new Set(names)];
}
