import type { Controller, ReconcileResult } from "../../../contracts/controller.ts";
import type { Stored, Write } from "../../../contracts/store.ts";
import { isProblem } from "../../../core/problem.ts";
import { addonNamed } from "../addons/catalogue.ts";
import type { AddonDefinition } from "../addons/definition.ts";
import { keepFields } from "../addons/keep-fields.ts";
import { planAddon, type ObservedAddon } from "../addons/plan-addon.ts";
import { CLUSTER_DNS, serviceAddress } from "../cluster-rules.ts";
import type { ClusterObject, ObjectsClient } from "../ports.ts";
import {
  ADDON_STATUSES,
  type AddonRecord,
  ADDONS,
  type AddonStatusRecord,
  clusterKey,
  CLUSTERS,
  type ClusterRecord,
  CONTROL_PLANES,
  recordPrefix,
} from "../records.ts";
import type { EksRoom } from "../room.ts";

/** Who EKS is to the API server, among those that own fields. */
const FIELD_MANAGER = "eks";
const LOOK_FOR_CLUSTER_MS = 500;
const LOOK_FOR_FARGATE_MS = 250;
const NEW_STATUS: AddonStatusRecord = { state: "CREATING", generation: 0, sinceMs: 0, issues: [] };

/** What a step works on. */
interface Unit {
  readonly key: string;
  readonly addon: AddonRecord;
  readonly status: AddonStatusRecord;
  readonly definition: AddonDefinition;
  readonly cluster: ClusterRecord;
  readonly objects: ObjectsClient;
}

/**
 * Puts add-ons into their clusters, by server-side apply, says how they are, and takes them away. Keyed as the add-ons' records. The add-ons of a
 * cluster that is deleted go with it.
 */
export function createAddonController(room: EksRoom): Controller {
  return {
    name: "eks-addon",
    watches: [{ collection: ADDONS, keysOf: (change) => [change.key] }],
    initialKeys: async () => (await room.store.list(ADDONS)).map(({ key }) => key),
    async reconcile(key) {
      const found = await room.store.get(ADDONS, key);
      const definition = addonNamed(found?.value.name ?? "");
      return found === undefined || definition === undefined ? undefined : reconcile(room, found, definition);
    },
  };
}

async function reconcile(room: EksRoom, { key, value: addon }: Stored<AddonRecord>, definition: AddonDefinition): Promise<ReconcileResult | void> {
  const ofCluster = clusterKey(addon, addon.clusterName);
  const cluster = (await room.store.get(CLUSTERS, ofCluster))?.value;
  if (cluster === undefined || cluster.deletingSinceMs !== undefined || !key.startsWith(recordPrefix(cluster))) return undefined;
  const plane = (await room.store.get(CONTROL_PLANES, ofCluster))?.value;
  if (plane?.state === "FAILED") return undefined;
  if (plane?.state !== "ACTIVE") return { requeueAfterMs: LOOK_FOR_CLUSTER_MS };
  const objects = await room.ports.objects.of(ofCluster);
  const status = (await room.store.get(ADDON_STATUSES, key))?.value ?? NEW_STATUS;
  const unit: Unit = { key, addon, status, definition, cluster, objects };
  const action = planAddon(await observe(room, unit));
  switch (action.do) {
    case "apply":
      return apply(room, unit);
    case "remove":
      return remove(room, unit);
    case "report": {
      const issues = action.issue === undefined ? [] : [action.issue];
      if (status.state !== action.state || JSON.stringify(status.issues) !== JSON.stringify(issues)) {
        await save(room, unit, { ...status, state: action.state, issues });
      }
      return { requeueAfterMs: action.againMs };
    }
    case "wait":
      return undefined;
  }
}

async function observe(room: EksRoom, { addon, status, definition, objects }: Unit): Promise<ObservedAddon> {
  const isApplied = status.generation === addon.generation && addon.deleting === undefined && !addon.selfManaged;
  return {
    isDeleting: addon.deleting !== undefined,
    wanted: addon.generation,
    applied: status.generation,
    isSelfManaged: addon.selfManaged,
    state: status.state,
    sinceMs: status.sinceMs,
    ...(isApplied && { replicas: await replicasOf(objects, definition) }),
    nowMs: room.clock.nowMs(),
  };
}

async function replicasOf(objects: ObjectsClient, { deployment, namespace }: AddonDefinition): Promise<ObservedAddon["replicas"]> {
  if (deployment === undefined) return undefined;
  const found = await objects.read({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: deployment, namespace } });
  if (found === undefined) return "gone";
  const { spec, status, metadata } = found as {
    spec?: { replicas?: number };
    status?: { availableReplicas?: number; observedGeneration?: number };
  } & ClusterObject;
  const isSeen = status?.observedGeneration === metadata["generation"];
  return { wanted: spec?.replicas ?? 1, available: isSeen ? (status?.availableReplicas ?? 0) : 0 };
}

async function save(room: EksRoom, { key }: Unit, value: AddonStatusRecord): Promise<void> {
  await room.store.transact([{ op: "put", collection: ADDON_STATUSES, key, value }]);
}

function objectsOf({ definition, cluster, addon }: Unit): readonly ClusterObject[] {
  return definition.objects({
    dnsAddress: serviceAddress(cluster.serviceCidr, CLUSTER_DNS),
    region: cluster.region,
    clusterName: cluster.name,
    configuration: addon.configuration,
  });
}

/** What conflicts is not applied, and nothing after it: the user says how that is to be resolved. */
async function apply(room: EksRoom, unit: Unit): Promise<ReconcileResult> {
  const { addon, status, objects, definition } = unit;
  const { namespace, podLabels } = definition;
  // Its pods would else be nobody's, for good.
  if (podLabels !== undefined && !(await objects.isOnFargate({ namespace, labels: podLabels }))) return { requeueAfterMs: LOOK_FOR_FARGATE_MS };
  const isNew = status.generation === 0 || status.state === "CREATE_FAILED";
  const done = { generation: addon.generation, sinceMs: room.clock.nowMs() };
  const failed = (issue: AddonStatusRecord["issues"][number]): Promise<void> =>
    save(room, unit, { ...done, state: isNew ? "CREATE_FAILED" : "UPDATE_FAILED", issues: [issue] });
  try {
    for (const object of objectsOf(unit)) {
      const conflicts = await applyOne(unit, object);
      if (conflicts.length === 0) continue;
      const what = conflicts.map(({ field }) => `${object.kind} ${object.metadata.name} - ${field}`).join(", ");
      const message = `Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts: ${what}`;
      await failed({ code: "ConfigurationConflict", message });
      return {};
    }
  } catch (error) {
    if (!isProblem(error, "invalid")) throw error;
    await failed({ code: "AdmissionRequestDenied", message: error.message });
    return {};
  }
  room.logger.info(`the add-on ${addon.name} ${addon.version} is applied to the EKS cluster ${addon.clusterName}`, { addon: addon.name });
  await save(room, unit, { ...done, state: addon.selfManaged ? "ACTIVE" : isNew ? "CREATING" : "UPDATING", issues: [] });
  return { requeueAfterMs: 0 };
}

async function applyOne({ addon, objects }: Unit, object: ClusterObject): ReturnType<ObjectsClient["apply"]> {
  const by = { fieldManager: FIELD_MANAGER, force: addon.resolveConflicts === "OVERWRITE" };
  const conflicts = await objects.apply(object, by);
  if (conflicts.length === 0 || addon.resolveConflicts !== "PRESERVE") return conflicts;
  const live = await objects.read(object);
  return live === undefined
    ? objects.apply(object, by)
    : objects.apply(
        keepFields(
          object,
          live,
          conflicts.map(({ field }) => field),
        ),
        by,
      );
}

/** The record goes last. */
async function remove(room: EksRoom, unit: Unit): Promise<void> {
  const { key, addon, status, objects } = unit;
  if (addon.deleting?.preserve !== true) for (const object of objectsOf(unit).toReversed()) await objects.remove(object);
  const writes: Write[] = [{ op: "delete", collection: ADDONS, key }];
  if (status.generation > 0) writes.push({ op: "delete", collection: ADDON_STATUSES, key });
  await room.store.transact(writes);
}
