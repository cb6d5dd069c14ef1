import type {
  Addon,
  AddonStatus,
  CreateAddonRequest,
  CreateAddonResponse,
  DeleteAddonRequest,
  DeleteAddonResponse,
  DescribeAddonRequest,
  DescribeAddonResponse,
  ListAddonsRequest,
  ListAddonsResponse,
  Update,
  UpdateAddonRequest,
  UpdateAddonResponse,
} from "@aws-sdk/client-eks";
import type { Stored } from "../../../contracts/store.ts";
import { messageOf } from "../../../core/problem.ts";
import { addonNamed, whyNotOffered } from "../addons/catalogue.ts";
import type { AddonDefinition } from "../addons/definition.ts";
import { faultsOf } from "../addons/schema.ts";
import { invalidParameter, invalidRequest, resourceInUse, resourceNotFound } from "../errors.ts";
import { addonArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import {
  ADDON_STATUSES,
  type AddonRecord,
  ADDONS,
  type AddonStatusRecord,
  type AddonUpdate,
  type ClusterRecord,
  CONTROL_PLANES,
  recordPrefix,
} from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";
import { faultOfTags } from "../tags.ts";

const NO_ROLES = "the add-ons there are ask nothing of AWS";
const KEPT_UPDATES = 20;

/** CREATING and UPDATING until what is wanted is applied. */
export function addonStatus(addon: AddonRecord, status: AddonStatusRecord | undefined): AddonStatus {
  if (addon.deleting !== undefined) return "DELETING";
  if (status === undefined || status.generation === 0) return "CREATING";
  return status.generation === addon.generation ? status.state : addon.updates.length === 0 ? "CREATING" : "UPDATING";
}

function addonView(addon: AddonRecord, status: AddonStatusRecord | undefined): Addon {
  const definition = addonNamed(addon.name);
  return {
    addonName: addon.name,
    clusterName: addon.clusterName,
    status: addonStatus(addon, status),
    addonVersion: addon.version,
    health: { issues: (status?.issues ?? []).map(({ code, message }) => ({ code, message, resourceIds: [] })) },
    addonArn: addonArn(addon),
    createdAt: new Date(addon.createdAtMs),
    modifiedAt: new Date(addon.modifiedAtMs),
    ...(addon.serviceAccountRoleArn !== undefined && { serviceAccountRoleArn: addon.serviceAccountRoleArn }),
    tags: { ...addon.tags },
    publisher: "eks",
    owner: definition?.owner ?? "aws",
    ...(addon.configurationValues !== undefined && { configurationValues: addon.configurationValues }),
    podIdentityAssociations: [],
    namespaceConfig: { namespace: definition?.namespace ?? "" },
  };
}

async function findAddon(room: EksRoom, cluster: ClusterRecord, name: string): Promise<Stored<AddonRecord> | undefined> {
  const found = await room.store.get(ADDONS, `${recordPrefix(cluster)}${name}`);
  return found?.value.selfManaged === true ? undefined : found;
}

/** @throws ResourceNotFoundException */
export async function requireAddon(room: EksRoom, cluster: ClusterRecord, name: string): Promise<Stored<AddonRecord>> {
  const found = await findAddon(room, cluster, name);
  if (found === undefined) throw resourceNotFound(`No addon: ${name} found in cluster: ${cluster.name}`, cluster.name);
  return found;
}

async function viewOf(room: EksRoom, { key, value }: Pick<Stored<AddonRecord>, "key" | "value">): Promise<Addon> {
  return addonView(value, (await room.store.get(ADDON_STATUSES, key))?.value);
}

/** @throws InvalidParameterException */
function requireOffered(name: string, clusterName: string, version: string | undefined): AddonDefinition {
  const definition = addonNamed(name);
  if (definition === undefined) throw invalidParameter(whyNotOffered(name), clusterName);
  // Terraform and others write a version in part.
  if (version !== undefined && version !== definition.version) {
    throw invalidParameter(`Addon version specified is not supported: Tidegate has ${name} ${definition.version}`, clusterName);
  }
  return definition;
}

/** @throws InvalidParameterException for what is neither YAML nor JSON, or does not fit the add-on's schema. */
async function readConfiguration(room: EksRoom, { name, schema }: AddonDefinition, text: string | undefined): Promise<AddonRecord["configuration"]> {
  if (text === undefined || text.trim() === "") return {};
  const value = await room.ports.objects.readYaml(text).catch((error: unknown) => {
    throw invalidParameter(`The ConfigurationValues provided is not in valid YAML or JSON format. ${messageOf(error)}`);
  });
  const faults = faultsOf(schema, value ?? {});
  if (faults.length > 0) {
    const words = `ConfigurationValue provided in request is not supported: Json schema validation failed with error: [${faults.join(", ")}]`;
    throw invalidParameter(`${words}. The schema is in: aws eks describe-addon-configuration --addon-name ${name}`);
  }
  return (value ?? {}) as AddonRecord["configuration"];
}

/**
 * Writes down what is wanted; the add-on controller applies it. What CreateCluster has installed by itself becomes the add-on's.
 * @throws InvalidParameterException, InvalidRequestException, ResourceInUseException
 */
export function createAddon(room: EksRoom) {
  return operation<CreateAddonRequest, CreateAddonResponse>({
    name: "CreateAddon",
    members: {
      clusterName: "used",
      addonName: "used",
      addonVersion: "used",
      serviceAccountRoleArn: { ignored: `kept and shown; ${NO_ROLES}` },
      resolveConflicts: "used",
      clientRequestToken: "used",
      tags: "used",
      configurationValues: "used",
      podIdentityAssociations: { refused: NO_ROLES },
      namespaceConfig: { refused: "each add-on has its own namespace" },
    },
    async handle({ clusterName = "", addonName: name = "", tags = {}, configurationValues, clientRequestToken: token = "", ...input }, context) {
      const { key: ofCluster, value: cluster } = await requireCluster(room, context, clusterName);
      const definition = requireOffered(name, clusterName, input.addonVersion);
      const fault = faultOfTags(tags);
      if (fault !== undefined) throw invalidParameter(fault, clusterName);
      if (input.resolveConflicts === "PRESERVE") {
        throw invalidParameter("PRESERVE is not a valid value of resolveConflicts for CreateAddon: use NONE or OVERWRITE", clusterName);
      }
      const plane = (await room.store.get(CONTROL_PLANES, ofCluster))?.value;
      if (plane?.state !== "ACTIVE" || cluster.deletingSinceMs !== undefined) {
        throw invalidRequest(`Cluster '${clusterName}' is not in ACTIVE status`, clusterName);
      }
      const key = `${recordPrefix(cluster)}${name}`;
      const known = await room.store.get(ADDONS, key);
      if (known !== undefined && !known.value.selfManaged) {
        if (known.value.token === token && known.value.deleting === undefined) return { addon: await viewOf(room, known) };
        throw resourceInUse("Addon already exists.", clusterName);
      }
      const value: AddonRecord = {
        account: cluster.account,
        region: cluster.region,
        clusterName,
        name,
        selfManaged: false,
        id: room.ids.uuid(),
        version: definition.version,
        createdAtMs: context.nowMs,
        modifiedAtMs: context.nowMs,
        ...(configurationValues !== undefined && { configurationValues }),
        configuration: await readConfiguration(room, definition, configurationValues),
        ...(input.serviceAccountRoleArn !== undefined && { serviceAccountRoleArn: input.serviceAccountRoleArn }),
        resolveConflicts: input.resolveConflicts ?? "NONE",
        tags: { ...tags },
        generation: (known?.value.generation ?? 0) + 1,
        updates: [],
        token,
      };
      await room.store.transact(
        known === undefined
          ? [{ op: "create", collection: ADDONS, key, value }]
          : [{ op: "update", collection: ADDONS, key, value, ifRevision: known.revision }],
      );
      return { addon: addonView(value, undefined) };
    },
  });
}

/** @throws ResourceNotFoundException */
export function describeAddon(room: EksRoom) {
  return operation<DescribeAddonRequest, DescribeAddonResponse>({
    name: "DescribeAddon",
    members: { clusterName: "used", addonName: "used" },
    async handle({ clusterName = "", addonName = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      return { addon: await viewOf(room, await requireAddon(room, cluster, addonName)) };
    },
  });
}

/** Names, in their order; not what CreateCluster has installed by itself. */
export function listAddons(room: EksRoom) {
  return operation<ListAddonsRequest, ListAddonsResponse>({
    name: "ListAddons",
    members: { clusterName: "used", maxResults: "used", nextToken: "used" },
    async handle({ clusterName = "", ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const all = await room.store.list(ADDONS, { prefix: recordPrefix(cluster) });
      const names = all.flatMap(({ value }) => (value.selfManaged ? [] : [value.name]));
      const { items, nextToken } = pageOf(names, (name) => name, page);
      return { addons: [...items], ...(nextToken !== undefined && { nextToken }) };
    },
  });
}

/** @throws ResourceNotFoundException, InvalidParameterException, InvalidRequestException while it is being deleted */
export function updateAddon(room: EksRoom) {
  return operation<UpdateAddonRequest, UpdateAddonResponse>({
    name: "UpdateAddon",
    members: {
      clusterName: "used",
      addonName: "used",
      addonVersion: "used",
      serviceAccountRoleArn: { ignored: `kept and shown; ${NO_ROLES}` },
      resolveConflicts: "used",
      clientRequestToken: { ignored: "an update that is asked for twice leads to the same" },
      configurationValues: "used",
      podIdentityAssociations: { refused: NO_ROLES },
    },
    async handle({ clusterName = "", addonName: name = "", addonVersion, resolveConflicts, configurationValues, serviceAccountRoleArn }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      await requireAddon(room, cluster, name);
      const definition = requireOffered(name, clusterName, addonVersion);
      const configuration = configurationValues === undefined ? undefined : await readConfiguration(room, definition, configurationValues);
      const params: AddonUpdate["params"] = [
        ...(addonVersion === undefined ? [] : [{ type: "AddonVersion" as const, value: addonVersion }]),
        ...(resolveConflicts === undefined ? [] : [{ type: "ResolveConflicts" as const, value: resolveConflicts }]),
        ...(configurationValues === undefined ? [] : [{ type: "ConfigurationValues" as const, value: configurationValues }]),
      ];
      const id = room.ids.uuid();
      const changed = await changeRecord(room, ADDONS, {
        find: () => requireAddon(room, cluster, name),
        change: (addon): AddonRecord => {
          if (addon.deleting !== undefined) throw invalidRequest(`Addon ${name} is being deleted`, clusterName);
          const generation = addon.generation + 1;
          return {
            ...addon,
            version: definition.version,
            modifiedAtMs: context.nowMs,
            ...(configurationValues !== undefined && { configurationValues, configuration }),
            ...(serviceAccountRoleArn !== undefined && { serviceAccountRoleArn }),
            resolveConflicts: resolveConflicts ?? "NONE",
            generation,
            updates: [...addon.updates, { id, generation, createdAtMs: context.nowMs, params }].slice(-KEPT_UPDATES),
          };
        },
      });
      return { update: addonUpdateView(changed, id, undefined) };
    },
  });
}

/** @throws ResourceNotFoundException */
export function deleteAddon(room: EksRoom) {
  return operation<DeleteAddonRequest, DeleteAddonResponse>({
    name: "DeleteAddon",
    members: { clusterName: "used", addonName: "used", preserve: "used" },
    async handle({ clusterName = "", addonName: name = "", preserve = false }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const value = await changeRecord(room, ADDONS, {
        find: () => requireAddon(room, cluster, name),
        change: (addon): AddonRecord => (addon.deleting === undefined ? { ...addon, deleting: { preserve }, modifiedAtMs: context.nowMs } : addon),
      });
      return { addon: addonView(value, undefined) };
    },
  });
}

/** One of its updates: over once what it asked for is applied and well, or could not be. */
export function addonUpdateView(addon: AddonRecord, id: string, status: AddonStatusRecord | undefined): Update {
  const update = addon.updates.find((each) => each.id === id);
  if (update === undefined) throw resourceNotFound(`No update found for ID: ${id}`, addon.clusterName);
  const isTried = (status?.generation ?? 0) >= update.generation;
  const isLast = status?.generation === update.generation;
  const hasFailed = isTried && isLast && (status?.state === "UPDATE_FAILED" || status?.state === "CREATE_FAILED" || status?.state === "DEGRADED");
  const isUnderWay = !isTried || (isLast && (status?.state === "UPDATING" || status?.state === "CREATING"));
  return {
    id,
    status: isUnderWay ? "InProgress" : hasFailed ? "Failed" : "Successful",
    type: "AddonUpdate",
    params: update.params.map((each) => ({ ...each })),
    createdAt: new Date(update.createdAtMs),
    errors: hasFailed ? (status?.issues ?? []).map(({ code, message }) => ({ errorCode: code, errorMessage: message, resourceIds: [] })) : [],
  };
}
