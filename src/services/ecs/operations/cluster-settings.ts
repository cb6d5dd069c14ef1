import type {
  ClusterSetting,
  UpdateClusterRequest,
  UpdateClusterResponse,
  UpdateClusterSettingsRequest,
  UpdateClusterSettingsResponse,
} from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { clusterView } from "../cluster-view.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster } from "../lookups.ts";
import { clusters } from "../records.ts";
import type { Room } from "../room.ts";

/** The value of containerInsights among the settings. @throws InvalidParameterException */
export function readInsights(settings: readonly ClusterSetting[] | undefined): string | undefined {
  let found: string | undefined;
  for (const { name, value } of settings ?? []) {
    if (name !== "containerInsights") throw invalidParameter(`Invalid cluster setting: ${name}`);
    if (!["enabled", "disabled", "enhanced"].includes(value ?? "")) throw invalidParameter(`Invalid value for containerInsights: ${value}`);
    found = value;
  }
  return found;
}

const SETTINGS = { ignored: "kept and shown; Container Insights' metrics are not written yet" } as const;

/** @throws ClusterNotFoundException */
export function updateCluster(room: Room): Operation<UpdateClusterRequest, UpdateClusterResponse> {
  return {
    name: "UpdateCluster",
    members: {
      cluster: "used",
      settings: SETTINGS,
      configuration: { refused: "ECS Exec and managed storage are not built yet." },
      serviceConnectDefaults: { refused: "Service Connect is not built yet." },
    },
    handle: async (input, context) => ({ cluster: await change(room, input, context) }),
  };
}

/** @throws ClusterNotFoundException */
export function updateClusterSettings(room: Room): Operation<UpdateClusterSettingsRequest, UpdateClusterSettingsResponse> {
  return {
    name: "UpdateClusterSettings",
    members: { cluster: "used", settings: SETTINGS },
    handle: async (input, context) => ({ cluster: await change(room, input, context) }),
  };
}

async function change(room: Room, input: UpdateClusterRequest, context: RequestContext): ReturnType<typeof clusterView> {
  const stored = await activeCluster(room, context, input.cluster);
  const value = { ...stored.value, containerInsights: readInsights(input.settings) ?? stored.value.containerInsights };
  await room.store.transact([{ op: "update", collection: clusters, key: stored.key, value, ifRevision: stored.revision }]);
  return clusterView(room, value, ["TAGS", "SETTINGS"]);
}
