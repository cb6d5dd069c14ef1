import type {
  DescribeUpdateRequest,
  DescribeUpdateResponse,
  ListUpdatesRequest,
  ListUpdatesResponse,
  Update,
  UpdateClusterConfigRequest,
  UpdateClusterConfigResponse,
  VpcConfigRequest,
} from "@aws-sdk/client-eks";
import { accessEntryKey, creatorsEntry } from "../access/entries.ts";
import { readAccess } from "../cluster-rules.ts";
import { changeLogs, sameLogs } from "../control-plane/logging.ts";
import { invalidParameter, invalidRequest, resourceNotFound } from "../errors.ts";
import { isProviderDue, providerOf } from "../identity-provider/providers.ts";
import { pageOf } from "../paging.ts";
import {
  ACCESS_ENTRIES,
  ADDON_STATUSES,
  CLUSTERS,
  type ClusterRecord,
  CONTROL_PLANES,
  endpointAccessOf,
  recordPrefix,
  type UpdateRecord,
  UPDATES,
} from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";
import { isAccessDue, statusOf } from "../views.ts";
import { addonUpdateView, requireAddon } from "./addons.ts";

const NOT_YET = "it cannot be changed yet; create another cluster";
const NO_SUCH = "there are updates of clusters and add-ons";

/** One way: who goes by entries does not go back. */
const MODES = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"] as const;

const OF_PROVIDERS: readonly UpdateRecord["type"][] = ["AssociateIdentityProviderConfig", "DisassociateIdentityProviderConfig"];

type Change = Pick<UpdateRecord, "type" | "parameter" | "more"> & { readonly to: Partial<ClusterRecord> };

/**
 * Changes access by entries, who may reach the endpoint, deletion protection or upgrade policy, at once, or which logs of the control plane are kept, which replaces it: for some
 * seconds nothing answers at the cluster's address. One in a call. @throws InvalidParameterException, InvalidRequestException
 */
export function updateClusterConfig(room: EksRoom) {
  return operation<UpdateClusterConfigRequest, UpdateClusterConfigResponse>({
    name: "UpdateClusterConfig",
    members: {
      name: "used",
      "resourcesVpcConfig.endpointPublicAccess": "used",
      "resourcesVpcConfig.endpointPrivateAccess": "used",
      "resourcesVpcConfig.publicAccessCidrs": "used",
      resourcesVpcConfig: { refused: NOT_YET },
      logging: "used",
      clientRequestToken: { ignored: "an update that changes nothing is refused, so that it cannot be done twice" },
      accessConfig: "used",
      upgradePolicy: "used",
      zonalShiftConfig: { refused: NOT_YET },
      computeConfig: { refused: NOT_YET },
      kubernetesNetworkConfig: { refused: NOT_YET },
      storageConfig: { refused: NOT_YET },
      remoteNetworkConfig: { refused: NOT_YET },
      deletionProtection: "used",
      controlPlaneScalingConfig: { refused: NOT_YET },
    },
    async handle({ name = "", ...input }, context) {
      const { key, value: cluster } = await requireCluster(room, context, name);
      const plane = await room.store.get(CONTROL_PLANES, key);
      if (statusOf(cluster, plane?.value) !== "ACTIVE") throw invalidRequest(`Cluster '${name}' is not in ACTIVE status`, name);
      const { to, ...change } = readChange(cluster, input);
      const inProgress = change.type === "LoggingUpdate";
      const update: UpdateRecord = { id: room.ids.uuid(), ...change, createdAtMs: context.nowMs, ...(inProgress && { inProgress }) };
      const first = cluster.authenticationMode === "CONFIG_MAP" ? creatorsEntry(room.ids, { ...cluster, ...to }) : [];
      const isThere = (await room.store.get(ACCESS_ENTRIES, accessEntryKey(cluster, cluster.creatorArn))) !== undefined;
      await changeRecord(room, CLUSTERS, {
        find: () => requireCluster(room, context, name),
        change: (before) => ({ ...before, ...to }),
        also: [{ op: "create", collection: UPDATES, key: `${recordPrefix(cluster)}${update.id}`, value: update }, ...(isThere ? [] : first)],
      });
      return { update: updateView(update, false) };
    },
  });
}

function readChange(
  cluster: ClusterRecord,
  { accessConfig, upgradePolicy, deletionProtection, resourcesVpcConfig, logging }: Omit<UpdateClusterConfigRequest, "name">,
): Change {
  const mode = accessConfig?.authenticationMode;
  const supportType = upgradePolicy?.supportType;
  const [asked, ...more] = [mode, supportType, deletionProtection, resourcesVpcConfig, logging].filter((each) => each !== undefined);
  if (asked === undefined) throw invalidParameter("No changes needed for the cluster config provided", cluster.name);
  if (more.length > 0) throw invalidParameter("Only one type of update can be allowed.", cluster.name);
  if (resourcesVpcConfig !== undefined) return readAccessChange(cluster, resourcesVpcConfig);
  if (logging !== undefined) {
    const on = changeLogs(cluster.logging, logging.clusterLogging);
    if (sameLogs(on, cluster.logging)) throw invalidParameter("No changes needed for the logging config provided", cluster.name);
    return { to: { logging: on }, type: "LoggingUpdate", parameter: { type: "ClusterLogging", value: JSON.stringify(logging) } };
  }
  if (mode !== undefined) {
    const { authenticationMode: from } = cluster;
    if (MODES.indexOf(mode) <= MODES.indexOf(from))
      throw invalidParameter(`Unsupported authentication mode update from ${from} to ${mode}`, cluster.name);
    return { to: { authenticationMode: mode }, type: "AccessConfigUpdate", parameter: { type: "AuthenticationMode", value: mode } };
  }
  if (supportType !== undefined) {
    if (supportType === cluster.supportType) throw invalidParameter(`Cluster is already at the desired support type ${supportType}`, cluster.name);
    return { to: { supportType }, type: "UpgradePolicyUpdate", parameter: { type: "UpgradePolicy", value: JSON.stringify({ supportType }) } };
  }
  if (deletionProtection === cluster.deletionProtection) {
    throw invalidParameter(`Cluster is already at the desired deletion protection ${deletionProtection}`, cluster.name);
  }
  const value = String(deletionProtection);
  return {
    to: { deletionProtection: deletionProtection === true },
    type: "DeletionProtectionUpdate",
    parameter: { type: "DeletionProtection", value },
  };
}

/** Differs: subnets and security groups stay as they were. */
function readAccessChange(cluster: ClusterRecord, request: VpcConfigRequest): Change {
  const vpc = { ...cluster.vpc, ...readAccess(request, cluster.vpc) };
  const { publicAccess, privateAccess, publicAccessCidrs: cidrs } = vpc;
  if (endpointAccessOf({ ...cluster, vpc }) === endpointAccessOf(cluster)) {
    const words = `endpointPrivateAccess: ${privateAccess} , endpointPublicAccess: ${publicAccess}, and Public Endpoint Restrictions: [${cidrs.join(", ")}]`;
    throw invalidParameter(`Cluster is already at the desired configuration with ${words}`, cluster.name);
  }
  return {
    to: { vpc },
    type: "EndpointAccessUpdate",
    parameter: { type: "EndpointPublicAccess", value: String(publicAccess) },
    more: [
      { type: "EndpointPrivateAccess", value: String(privateAccess) },
      { type: "PublicAccessCidrs", value: JSON.stringify(cidrs) },
    ],
  };
}

export function describeUpdate(room: EksRoom) {
  return operation<DescribeUpdateRequest, DescribeUpdateResponse>({
    name: "DescribeUpdate",
    members: {
      name: "used",
      updateId: "used",
      nodegroupName: { refused: NO_SUCH },
      addonName: "used",
      capabilityName: { refused: NO_SUCH },
    },
    async handle({ name = "", updateId = "", addonName }, context) {
      const { key, value: cluster } = await requireCluster(room, context, name);
      if (addonName !== undefined) {
        const addon = await requireAddon(room, cluster, addonName);
        return { update: addonUpdateView(addon.value, updateId, (await room.store.get(ADDON_STATUSES, addon.key))?.value) };
      }
      const found = await room.store.get(UPDATES, `${recordPrefix(cluster)}${updateId}`);
      if (found === undefined) throw resourceNotFound(`No update found for ID: ${updateId}`, name);
      const plane = await room.store.get(CONTROL_PLANES, key);
      const isDue = OF_PROVIDERS.includes(found.value.type)
        ? isProviderDue((await providerOf(room.store, cluster))?.value, plane?.value)
        : isAccessDue(cluster, plane?.value);
      return { update: updateView(found.value, !isDue) };
    },
  });
}

export function listUpdates(room: EksRoom) {
  return operation<ListUpdatesRequest, ListUpdatesResponse>({
    name: "ListUpdates",
    members: {
      name: "used",
      nodegroupName: { refused: NO_SUCH },
      addonName: "used",
      capabilityName: { refused: NO_SUCH },
      nextToken: "used",
      maxResults: "used",
    },
    async handle({ name = "", addonName, ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, name);
      const ofAddon = addonName === undefined ? undefined : (await requireAddon(room, cluster, addonName)).value.updates.map(({ id }) => id);
      const updates = ofAddon ?? (await room.store.list(UPDATES, { prefix: recordPrefix(cluster) })).map(({ value }) => value.id);
      const { items, nextToken } = pageOf(updates, (id) => id, page);
      return { updateIds: [...items], ...(nextToken !== undefined && { nextToken }) };
    },
  });
}

const BY_CONTROLLER: readonly UpdateRecord["type"][] = [...OF_PROVIDERS, "EndpointAccessUpdate"];

/** `isDone`: what it changes is as the cluster's record has it; of no matter where it took effect at once. */
export function updateView({ id, type, parameter, more = [], createdAtMs, inProgress = false }: UpdateRecord, isDone: boolean): Update {
  const status = inProgress || (BY_CONTROLLER.includes(type) && !isDone) ? "InProgress" : "Successful";
  return { id, status, type, params: [parameter, ...more].map((each) => ({ ...each })), createdAt: new Date(createdAtMs), errors: [] };
}
