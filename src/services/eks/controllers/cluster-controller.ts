import type { Controller, ReconcileResult } from "../../../contracts/controller.ts";
import type { StopReason } from "../../../contracts/engine.ts";
import type { Collection, Stored, Write } from "../../../contracts/store.ts";
import { isProblem, messageOf } from "../../../core/problem.ts";
import { scopedKey } from "../../../core/scope.ts";
import { API_SERVER_FILES, compileControlPlane, groupIdsOf, OWNER } from "../control-plane/compile.ts";
import { sameLogs } from "../control-plane/logging.ts";
import { apiServerFiles } from "../control-plane/files.ts";
import { isProviderDue, providerOf, wantedProvider } from "../identity-provider/providers.ts";
import { jwtAuthenticator } from "../identity-provider/rules.ts";
import { clusterArn, groupNamesOf, parseClusterArn } from "../names.ts";
import {
  ACCESS_ENTRIES,
  ADDON_STATUSES,
  ADDONS,
  attachmentOwnerOf,
  AWS_AUTH,
  CLUSTER_USAGE,
  CLUSTER_SECRETS,
  clusterKey,
  CLUSTERS,
  CONTROL_PLANES,
  endpointAccessOf,
  IDENTITY_PROVIDERS,
  POD_IDENTITIES,
  recordPrefix,
  snapshotVolumeIdOf,
  UPDATES,
  volumeIdOf,
  type ClusterRecord,
  type ClusterSecrets,
  type ControlPlaneRecord,
  type IdentityProviderRecord,
} from "../records.ts";
import type { IngressRule } from "../ports.ts";
import type { EksRoom } from "../room.ts";
import { isAccessDue } from "../views.ts";
import { hasData, listSnapshots, setAside } from "../snapshots/etcd-folder.ts";
import { planCluster, type ClusterAction, type ObservedCluster } from "./plan-cluster.ts";

const ENDED: StopReason = { code: "UserInitiated", reason: "The cluster was deleted, or its control plane is replaced" };
/** Of what goes with a cluster. */
const OWNED: readonly Collection<unknown>[] = [ACCESS_ENTRIES, ADDONS, ADDON_STATUSES, AWS_AUTH, IDENTITY_PROVIDERS, POD_IDENTITIES, UPDATES];
const NEW_PLANE: ControlPlaneRecord = { state: "CREATING", failures: 0 };
const HOUR_MS = 3_600_000;
const LOOK_FOR_IMAGE_MS = 1000;
const LOOK_FOR_PODS_MS = 500;
const BALANCERS_LOOK_MS = 500;
const LOOK_WHETHER_READY_MS = 250;

/** What a step works on. */
interface Unit {
  readonly key: string;
  readonly cluster: ClusterRecord;
  readonly plane: ControlPlaneRecord;
  readonly secrets: ClusterSecrets | undefined;
  readonly provider: Stored<IdentityProviderRecord> | undefined;
}

/**
 * Gives each cluster a control plane and keeps it: address and groups, certificates, the system workload, and its replacement when it has
 * ended; takes all of it away when the cluster is deleted. Every name is stored before what bears it is made.
 */
export function createClusterController(room: EksRoom): Controller {
  return {
    name: "eks-cluster",
    watches: [
      { collection: CLUSTERS, keysOf: (change) => [change.key] },
      { collection: CONTROL_PLANES, keysOf: (change) => [change.key] },
      {
        collection: IDENTITY_PROVIDERS,
        keysOf: ({ value, previous }) => [value ?? previous].flatMap((each) => (each === undefined ? [] : [clusterKey(each, each.clusterName)])),
      },
    ],
    sources: (wake) =>
      room.engine.watch(({ workload }) => {
        const named = workload.labels["owner"] === OWNER ? parseClusterArn(workload.labels["clusterArn"] ?? "") : undefined;
        if (named !== undefined) wake(clusterKey(named, named.name));
      }),
    initialKeys: async () => (await room.store.list(CLUSTERS)).map(({ key }) => key),
    async reconcile(key) {
      const cluster = await room.store.get(CLUSTERS, key);
      return cluster === undefined ? undefined : reconcile(room, cluster);
    },
  };
}

async function reconcile(room: EksRoom, { key, value: cluster }: Stored<ClusterRecord>): Promise<ReconcileResult | void> {
  const [plane, secrets, provider] = await Promise.all([
    room.store.get(CONTROL_PLANES, key),
    room.store.get(CLUSTER_SECRETS, key),
    providerOf(room.store, cluster),
  ]);
  const unit: Unit = { key, cluster, plane: plane?.value ?? NEW_PLANE, secrets: secrets?.value, provider };
  return carryOut(room, unit, planCluster(await observe(room, unit)));
}

async function observe(room: EksRoom, { cluster, plane, secrets, provider }: Unit): Promise<ObservedCluster> {
  const status = plane.workloadId === undefined ? undefined : (await room.engine.get(plane.workloadId))?.status;
  return {
    deleting: cluster.deletingSinceMs !== undefined,
    state: plane.state,
    hasNetwork: plane.network !== undefined,
    hasSecrets: secrets !== undefined,
    isAccessDue: isAccessDue(cluster, plane),
    isProviderDue: isProviderDue(provider?.value, plane),
    // What an earlier version did not issue is due.
    leavesEndMs: secrets?.frontProxy === undefined ? 0 : secrets.leavesEndMs,
    failures: plane.failures,
    isDataLost: plane.state === "ACTIVE" && status === undefined && (await isDataLost(room, cluster)),
    isRecovering: plane.recovery !== undefined,
    isChanged: plane.workloadId !== undefined && !sameLogs(cluster.logging, plane.logging),
    isUpdating: plane.updating === true,
    isToRecover: cluster.recovery !== undefined && cluster.recovery.id !== plane.recoveryId,
    ...(plane.workloadId !== undefined && {
      workload:
        status === undefined
          ? { known: false }
          : {
              known: true,
              state: status.state,
              isAskedToStop: status.desired === "STOPPED",
              startedAtMs: status.startedAtMs,
              stoppedAtMs: status.stoppedAtMs,
              reason: status.containers.find((container) => container.reason !== undefined)?.reason ?? status.stop?.reason,
            },
    }),
    nowMs: room.clock.nowMs(),
  };
}

async function isDataLost(room: EksRoom, cluster: ClusterRecord): Promise<boolean> {
  const volume = room.ports.volumes.folder(volumeIdOf(cluster));
  return volume !== undefined && !(await hasData(volume));
}

/** A change of the control plane's record wakes the controller again. */
async function carryOut(room: EksRoom, unit: Unit, action: ClusterAction): Promise<ReconcileResult | void> {
  const { plane } = unit;
  switch (action.do) {
    case "allocate-network":
      return savePlane(room, unit, { ...plane, network: await allocateNetwork(room, unit.cluster) });
    case "configure-provider":
      return configureProvider(room, unit);
    case "open-endpoint":
      return openEndpoint(room, unit);
    case "make-secrets":
    case "renew-leaves":
      return makeSecrets(room, unit);
    case "choose-workload":
      return chooseWorkload(room, unit);
    case "start-workload":
      return startWorkload(room, unit);
    case "stop-workload":
      return stopWorkload(room, unit);
    case "forget-workload":
      if (plane.workloadId !== undefined) await room.engine.destroy(plane.workloadId);
      return savePlane(room, unit, { ...plane, workloadId: undefined, failures: action.removed ? 0 : action.failures });
    case "begin-recovery":
      return beginRecovery(room, unit, action.why);
    case "look-whether-ready":
      return lookWhetherReady(room, unit);
    case "fail":
      room.logger.error(`the EKS cluster ${unit.cluster.name} has failed: ${action.reason}`, { clusterArn: clusterArn(unit.cluster) });
      return savePlane(room, unit, { ...plane, state: "FAILED", issue: action.reason });
    case "remove-all":
      return removeAll(room, unit);
    case "wait":
      return action.forMs === undefined ? undefined : { requeueAfterMs: action.forMs };
  }
}

async function savePlane(room: EksRoom, { key }: Unit, value: ControlPlaneRecord): Promise<void> {
  await room.store.transact([{ op: "put", collection: CONTROL_PLANES, key, value }]);
}

/** The address is allocated under an owner that is no workload: it outlives them all. */
async function allocateNetwork(room: EksRoom, cluster: ClusterRecord): Promise<NonNullable<ControlPlaneRecord["network"]>> {
  const { network } = room.ports;
  const { account, region, name, vpc } = cluster;
  const names = groupNamesOf(cluster);
  const group = { account, region, vpcId: vpc.vpcId };
  // Tidegate comes from the host, whatever addresses the user lets in: to the API server, and with probes to pods, whose nodes' kubelet it is.
  const { hostAddress } = await network.endpointOf(vpc.vpcId);
  const clusterGroupId = await network.ensureGroup({
    ...group,
    name: names.cluster,
    description: "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
    tags: { Name: names.cluster, [`kubernetes.io/cluster/${name}`]: "owned", "aws:eks:cluster-name": name },
    ingress: [
      { protocol: "-1", port: -1, from: "itself" },
      { protocol: "-1", port: -1, from: { cidr: `${hostAddress}/32` } },
    ],
  });
  const request = {
    attachmentId: cluster.attachmentId,
    owner: attachmentOwnerOf(cluster),
    account,
    region,
    subnetId: vpc.endpointSubnet.subnetId,
    assignPublicIp: false,
    description: `Amazon EKS ${name}`,
  };
  const endpointGroupId = await network.ensureGroup({
    ...group,
    name: names.endpoint,
    description: `Lets clients reach the API server of EKS cluster ${name}`,
    tags: { Name: names.endpoint, "aws:eks:cluster-name": name },
    ingress: await endpointRules(room, cluster),
  });
  const securityGroupIds = groupIdsOf(cluster, { clusterGroupId, endpointGroupId });
  const { privateIpv4 } = await network.allocate({ ...request, securityGroupIds });
  return { address: privateIpv4, clusterGroupId, endpointGroupId, access: endpointAccessOf(cluster) };
}

/** Tidegate comes from the host, whatever addresses the user lets in; the VPC's own come in by private access. */
async function endpointRules({ ports }: EksRoom, { vpc }: ClusterRecord): Promise<readonly IngressRule[]> {
  const { hostAddress } = await ports.network.endpointOf(vpc.vpcId);
  return [`${hostAddress}/32`, ...vpc.publicAccessCidrs].map((cidr) => ({ protocol: "tcp", port: 443, from: { cidr } }));
}

async function openEndpoint(room: EksRoom, unit: Unit): Promise<void> {
  const { cluster, plane } = unit;
  const { account, region, vpc } = cluster;
  if (plane.network === undefined) return;
  const group = { account, region, vpcId: vpc.vpcId, name: groupNamesOf(cluster).endpoint };
  await room.ports.network.setIngress(group, await endpointRules(room, cluster));
  room.logger.info(`the endpoint of EKS cluster ${cluster.name} is open to ${vpc.publicAccessCidrs.join(", ") || "its VPC"}`, {
    clusterArn: clusterArn(cluster),
  });
  await savePlane(room, unit, { ...plane, network: { ...plane.network, access: endpointAccessOf(cluster) } });
}

/** The certificate library is loaded with the first cluster. */
async function makeSecrets(room: EksRoom, unit: Unit): Promise<void> {
  const { key, cluster, plane, secrets } = unit;
  const { createSecrets, renewSecrets } = await import("../control-plane/secrets.ts");
  const address = plane.network?.address ?? "";
  const tools = { nowMs: room.clock.nowMs(), ids: room.ids };
  const value = secrets === undefined ? await createSecrets(cluster, address, tools) : await renewSecrets(cluster, { secrets, address }, tools);
  const certificateAuthority = Buffer.from(value.authority.certificate).toString("base64");
  await room.store.transact([
    { op: "put", collection: CLUSTER_SECRETS, key, value },
    { op: "put", collection: CONTROL_PLANES, key, value: { ...plane, certificateAuthority } },
  ]);
}

async function chooseWorkload(room: EksRoom, unit: Unit): Promise<ReconcileResult | void> {
  const { plane, cluster } = unit;
  try {
    if ((await room.ports.images.find()) === undefined) return { requeueAfterMs: LOOK_FOR_IMAGE_MS };
  } catch (error) {
    // One that served before waits for better times.
    if (!isProblem(error) || plane.state !== "CREATING") throw error;
    return carryOut(room, unit, { do: "fail", reason: messageOf(error) });
  }
  room.logger.info(`the control plane of EKS cluster ${cluster.name} is to start`, { clusterArn: clusterArn(cluster) });
  const isUpdating = plane.state === "ACTIVE" && !sameLogs(cluster.logging, plane.logging);
  const chosen = { ...plane, workloadId: room.ids.hex(32), logging: cluster.logging ?? [], ...(isUpdating && { updating: true }) };
  return savePlane(room, unit, chosen);
}

async function startWorkload(room: EksRoom, unit: Unit): Promise<ReconcileResult | void> {
  const { cluster, plane, secrets } = unit;
  const { network, workloadId, recovery } = plane;
  const image = await room.ports.images.find();
  if (image === undefined || network === undefined || secrets === undefined || workloadId === undefined) return { requeueAfterMs: LOOK_FOR_IMAGE_MS };
  const { apiUrl } = await room.ports.network.endpointOf(cluster.vpc.vpcId);
  const snapshot = recovery?.snapshot;
  // It went with its time, or stayed behind when the instance was restored from a backup.
  if (snapshot !== undefined && !(await snapshotsOf(room, cluster)).includes(snapshot)) return beginRecovery(room, unit, "lost");
  const volume = room.ports.volumes.folder(volumeIdOf(cluster));
  if (recovery !== undefined && volume !== undefined) await setAside(volume, String(recovery.sinceMs));
  try {
    await room.engine.start(
      compileControlPlane({
        cluster,
        network,
        secrets,
        image,
        workloadId,
        apiUrl,
        ...authenticatorOf(room, unit),
        ...(snapshot !== undefined && { snapshot }),
      }),
    );
  } catch (error) {
    // A new cluster says so at once; one that served waits for room.
    if (!isProblem(error, "exhausted", "invalid", "unsupported") || plane.state !== "CREATING") throw error;
    return carryOut(room, unit, { do: "fail", reason: messageOf(error) });
  }
}

function authenticatorOf(room: EksRoom, { provider }: Unit): { readonly authenticator?: unknown } {
  if (provider === undefined || wantedProvider(provider.value) === "") return {};
  return { authenticator: jwtAuthenticator(provider.value, room.ports.trustedAuthorities()) };
}

/** The API server looks at its files, and takes the change over as it runs. What it goes by no more is forgotten with the same write. */
async function configureProvider(room: EksRoom, unit: Unit): Promise<void> {
  const { key, cluster, plane, secrets, provider } = unit;
  if (plane.workloadId === undefined || secrets === undefined) return;
  const { apiUrl } = await room.ports.network.endpointOf(cluster.vpc.vpcId);
  const files = apiServerFiles(cluster, secrets, { apiUrl, ...authenticatorOf(room, unit) });
  await room.engine.refresh?.(plane.workloadId, { files: { [API_SERVER_FILES]: files } });
  const writes: Write[] = [{ op: "put", collection: CONTROL_PLANES, key, value: { ...plane, identityProvider: wantedProvider(provider?.value) } }];
  if (provider?.value.deletingSinceMs !== undefined) writes.push({ op: "delete", collection: IDENTITY_PROVIDERS, key: provider.key });
  await room.store.transact(writes);
}

/** Their names, oldest first. */
async function snapshotsOf(room: EksRoom, cluster: ClusterRecord): Promise<readonly string[]> {
  const folder = room.ports.volumes.folder(snapshotVolumeIdOf(cluster));
  return folder === undefined ? [] : (await listSnapshots(folder)).map(({ name }) => name);
}

/** The record says from what before anything is moved; until the API server is ready each start begins with it again. */
async function beginRecovery(room: EksRoom, unit: Unit, why: "lost" | "asked"): Promise<void> {
  const { cluster, plane } = unit;
  const { id, snapshot: asked } = cluster.recovery ?? {};
  const last = (await snapshotsOf(room, cluster)).at(-1);
  const snapshot = why === "asked" ? asked : last;
  const from = snapshot === undefined ? "there is no snapshot: the cluster begins empty" : `its objects come back as of the snapshot ${snapshot}`;
  const words = why === "lost" ? `the data of etcd of the EKS cluster ${cluster.name} are lost` : `the EKS cluster ${cluster.name} is to be restored`;
  room.logger.error(`${words}; ${from}`, { clusterArn: clusterArn(cluster) });
  const recovery = { sinceMs: room.clock.nowMs(), ...(snapshot !== undefined && { snapshot }) };
  await savePlane(room, unit, { ...plane, recovery, ...(id !== undefined && { recoveryId: id }) });
}

async function stopWorkload(room: EksRoom, { plane }: Unit): Promise<void> {
  if (plane.workloadId === undefined) return;
  await room.engine.stop(plane.workloadId, ENDED).catch((error: unknown) => {
    if (!isProblem(error, "not-found")) throw error;
  });
}

async function lookWhetherReady(room: EksRoom, unit: Unit): Promise<ReconcileResult | void> {
  const { cluster, plane, secrets } = unit;
  const address = plane.network?.address ?? "";
  const isReady = await room.ports.apiServer.isReady({ address, authority: secrets?.authority.certificate ?? "" });
  if (!isReady) return { requeueAfterMs: LOOK_WHETHER_READY_MS };
  if (plane.state === "ACTIVE") return servesAgain(room, unit);
  const tookMs = room.clock.nowMs() - cluster.createdAtMs;
  room.logger.info(`the EKS cluster ${cluster.name} is ACTIVE`, { clusterArn: clusterArn(cluster), endpoint: `https://${address}`, tookMs });
  await savePlane(room, unit, { ...plane, state: "ACTIVE" });
}

/** One that never served is not billed. */
function usageOf(cluster: ClusterRecord, nowMs: number): Write {
  const { account, region, version, supportType, createdAtMs: fromMs } = cluster;
  const toMs = Math.max(fromMs, nowMs);
  const value = { account, region, clusterArn: clusterArn(cluster), version, supportType, fromMs, toMs, hours: Math.ceil((toMs - fromMs) / HOUR_MS) };
  return { op: "put", collection: CLUSTER_USAGE, key: scopedKey(cluster, cluster.uid), value };
}

/** With other settings, or other objects: what was asked for is done. */
async function servesAgain(room: EksRoom, { key, cluster, plane }: Unit): Promise<void> {
  const { recovery, updating: _updated, ...served } = plane;
  if (recovery !== undefined) {
    room.logger.warn(`the EKS cluster ${cluster.name} serves again, from ${recovery.snapshot ?? "no snapshot"}`, { clusterArn: clusterArn(cluster) });
  }
  const updates = await room.store.list(UPDATES, { prefix: recordPrefix(cluster) });
  const done = updates.flatMap(({ key: updateKey, value: { inProgress, ...update } }): readonly Write[] =>
    inProgress === true ? [{ op: "put", collection: UPDATES, key: updateKey, value: update }] : [],
  );
  await room.store.transact([{ op: "put", collection: CONTROL_PLANES, key, value: served }, ...done]);
}

/** The records go last: as long as they are there, this is done again. */
async function removeAll(room: EksRoom, { key, cluster, secrets }: Unit): Promise<ReconcileResult | void> {
  // Those that run without a profile end with the cluster; they are in its groups.
  if (await room.ports.pods.left(cluster.uid)) return { requeueAfterMs: LOOK_FOR_PODS_MS };
  const { network, volumes, loadBalancers } = room.ports;
  if (await loadBalancers.areLeft(key)) return { requeueAfterMs: BALANCERS_LOOK_MS };
  const { account, region, vpc } = cluster;
  await network.detach(cluster.attachmentId);
  for (const name of Object.values(groupNamesOf(cluster))) {
    if (await network.deleteGroup({ account, region, vpcId: vpc.vpcId, name })) continue;
    room.logger.warn(`the security group ${name} of a deleted EKS cluster is in use and stays; delete it when nothing uses it`, {
      clusterArn: clusterArn(cluster),
    });
  }
  for (const id of [volumeIdOf(cluster), snapshotVolumeIdOf(cluster)]) await volumes.remove(id);
  const plane = await room.store.get(CONTROL_PLANES, key);
  const writes: Write[] = [{ op: "delete", collection: CLUSTERS, key }];
  for (const collection of OWNED) {
    const owned = await room.store.list(collection, { prefix: recordPrefix(cluster) });
    writes.push(...owned.map((record): Write => ({ op: "delete", collection, key: record.key })));
  }
  if (plane !== undefined) writes.push({ op: "delete", collection: CONTROL_PLANES, key });
  if (plane?.value.state === "ACTIVE") writes.push(usageOf(cluster, room.clock.nowMs()));
  if (secrets !== undefined) writes.push({ op: "delete", collection: CLUSTER_SECRETS, key });
  await room.store.transact(writes);
  room.logger.info(`the EKS cluster ${cluster.name} is deleted`, { clusterArn: clusterArn(cluster) });
}
