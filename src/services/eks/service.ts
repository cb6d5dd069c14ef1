import type { FastifyPluginAsync } from "fastify";
import type { Engine } from "../../contracts/engine.ts";
import type { Service, Toolbox } from "../../contracts/service.ts";
import type { Store } from "../../contracts/store.ts";
import type { Scope } from "../../core/scope.ts";
import type { ClusterSnapshots } from "../../core/status-report.ts";
import { createIdentityMap, type IdentityMap } from "./access/identity-map.ts";
import { type ClusterIssuers, createClusterIssuers, issuerPlugin } from "./access/issuer.ts";
import { accessPlugin } from "./access/plugin.ts";
import { createAddonController } from "./controllers/addon-controller.ts";
import { createClusterController } from "./controllers/cluster-controller.ts";
import { createSnapshotController } from "./controllers/snapshot-controller.ts";
import { recoverCluster, snapshotsOf } from "./snapshots/recover-cluster.ts";
import { describeClusterVersions } from "./operations/cluster-versions.ts";
import { deleteCluster, describeCluster, listClusters } from "./operations/clusters.ts";
import { describeAddonConfiguration, describeAddonVersions } from "./operations/addon-versions.ts";
import { createAddon, deleteAddon, describeAddon, listAddons, updateAddon } from "./operations/addons.ts";
import { createAccessEntry, deleteAccessEntry, describeAccessEntry, listAccessEntries, updateAccessEntry } from "./operations/access-entries.ts";
import { associateAccessPolicy, disassociateAccessPolicy, listAccessPolicies, listAssociatedAccessPolicies } from "./operations/access-policies.ts";
import { createFargateProfile, deleteFargateProfile, describeFargateProfile, listFargateProfiles } from "./operations/fargate-profiles.ts";
import { createCluster } from "./operations/create-cluster.ts";
import {
  createPodIdentityAssociation,
  deletePodIdentityAssociation,
  describePodIdentityAssociation,
  listPodIdentityAssociations,
  updatePodIdentityAssociation,
} from "./operations/pod-identity-associations.ts";
import {
  associateIdentityProviderConfig,
  describeIdentityProviderConfig,
  disassociateIdentityProviderConfig,
  listIdentityProviderConfigs,
} from "./operations/identity-provider-configs.ts";
import { listTagsForResource, tagResource, untagResource } from "./operations/tags.ts";
import { associateEncryptionConfig, updateClusterVersion } from "./operations/update-cluster-version.ts";
import { describeUpdate, listUpdates, updateClusterConfig } from "./operations/updates.ts";
import { createEksAuthService } from "./pod-identity/auth-service.ts";
import { createPodIdentityAgent, type PodIdentityAgent } from "./pod-identity/credentials.ts";
import type { EksPorts } from "./ports.ts";
import type { EksRoom } from "./room.ts";

export interface EksOptions {
  readonly store: Store;
  readonly engine: Engine;
  readonly ports: EksPorts;
  readonly toolbox: Toolbox;
  /** Hosts (`localhost:4566`) under which clients reach this Tidegate's STS. */
  readonly ownHosts: readonly string[];
}

export interface EksService extends Service {
  /** What the clusters' API servers ask of Tidegate, and who clusters' tokens are verified by. */
  readonly plugin: FastifyPluginAsync;
  /** The snapshots of a cluster's etcd; `undefined` when there is no such cluster. */
  snapshots(scope: Scope, name: string): Promise<ClusterSnapshots | undefined>;
  /** Brings a cluster's objects back as of a snapshot. @throws Problem `not-found`, `conflict` */
  recover(scope: Scope, asked: { readonly name: string; readonly snapshot: string }): Promise<void>;
  /** Told what clusters' ConfigMaps say of whom they let in. */
  readonly identityMap: IdentityMap;
  readonly issuers: ClusterIssuers;
  readonly podIdentity: PodIdentityAgent;
  /** EKS Auth, an API of its own. */
  readonly auth: Service;
}

/** Amazon EKS: clusters, each with an upstream Kubernetes control plane that runs as a system workload. */
export function createEksService({ store, engine, ports, toolbox, ownHosts }: EksOptions): EksService {
  const room: EksRoom = { ...toolbox, logger: toolbox.logger.child({ room: "eks" }), store, engine, ports, ownHosts };
  return {
    name: "eks",
    signingName: "eks",
    apiVersion: "2017-11-01",
    protocol: "restJson1",
    loadSchemas: () => import("@aws-sdk/client-eks"),
    operations: [
      associateAccessPolicy(room),
      associateEncryptionConfig(room),
      associateIdentityProviderConfig(room),
      createAccessEntry(room),
      createAddon(room),
      createCluster(room),
      createFargateProfile(room),
      createPodIdentityAssociation(room),
      deleteAccessEntry(room),
      deleteAddon(room),
      deleteCluster(room),
      deleteFargateProfile(room),
      deletePodIdentityAssociation(room),
      describeAccessEntry(room),
      describeAddon(room),
      describeAddonConfiguration,
      describeAddonVersions,
      describeCluster(room),
      describeClusterVersions,
      describeFargateProfile(room),
      describeIdentityProviderConfig(room),
      describePodIdentityAssociation(room),
      describeUpdate(room),
      disassociateAccessPolicy(room),
      disassociateIdentityProviderConfig(room),
      listAccessEntries(room),
      listAccessPolicies,
      listAddons(room),
      listAssociatedAccessPolicies(room),
      listClusters(room),
      listFargateProfiles(room),
      listIdentityProviderConfigs(room),
      listPodIdentityAssociations(room),
      listTagsForResource(room),
      listUpdates(room),
      tagResource(room),
      untagResource(room),
      updateAccessEntry(room),
      updateAddon(room),
      updateClusterConfig(room),
      updateClusterVersion(room),
      updatePodIdentityAssociation(room),
    ],
    controllers: [createClusterController(room), createAddonController(room), createSnapshotController(room)],
    plugin: async (app) => {
      await app.register(accessPlugin(room));
      await app.register(issuerPlugin(store));
    },
    issuers: createClusterIssuers(store),
    podIdentity: createPodIdentityAgent(room),
    auth: createEksAuthService(room),
    snapshots: (scope, name) => snapshotsOf(room, scope, name),
    recover: (scope, asked) => recoverCluster(room, scope, asked),
    identityMap: createIdentityMap(room),
    errorCodes: { invalid: "InvalidParameterException", unsupported: "InvalidParameterException" },
  };
}
