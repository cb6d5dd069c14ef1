import { createHash } from "node:crypto";
import type { CreateClusterRequest, CreateClusterResponse } from "@aws-sdk/client-eks";
import type { RequestContext } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import type { Write } from "../../../contracts/store.ts";
import { SELF_MANAGED } from "../addons/catalogue.ts";
import { creatorsEntry } from "../access/entries.ts";
import { checkRole, readServiceCidr, readVersion, readVpc } from "../cluster-rules.ts";
import { changeLogs } from "../control-plane/logging.ts";
import { clusterExists, invalidParameter } from "../errors.ts";
import { canonicalArn } from "../names.ts";
import { type AddonRecord, ADDONS, clusterKey, CLUSTERS, CONTROL_PLANES, type ClusterRecord, recordPrefix } from "../records.ts";
import { type EksRoom, operation } from "../room.ts";
import { faultOfTags } from "../tags.ts";
import { clusterView } from "../views.ts";

const AUTO_MODE = "EKS Auto Mode is not built; pods run on Fargate";

/**
 * Writes the cluster down; its control plane comes by itself. The same token with the same parameters answers the same cluster.
 * @throws ResourceInUseException, InvalidParameterException, AccessDeniedException
 */
export function createCluster(room: EksRoom) {
  return operation<CreateClusterRequest, CreateClusterResponse>({
    name: "CreateCluster",
    members: {
      name: "used",
      version: "used",
      roleArn: "used",
      resourcesVpcConfig: "used",
      "kubernetesNetworkConfig.serviceIpv4Cidr": "used",
      "kubernetesNetworkConfig.ipFamily": { refused: "Tidegate's VPCs have IPv4 addresses only", unless: ["ipv4"] },
      "kubernetesNetworkConfig.elasticLoadBalancing.enabled": { refused: AUTO_MODE, unless: [false] },
      logging: "used",
      clientRequestToken: "used",
      tags: "used",
      encryptionConfig: { refused: "there is no KMS; Secrets are encrypted in etcd with a key of the cluster's own" },
      outpostConfig: { refused: "there are no Outposts" },
      accessConfig: "used",
      bootstrapSelfManagedAddons: "used",
      upgradePolicy: { ignored: "kept and shown; there is one version, and nobody is upgraded by force" },
      "zonalShiftConfig.enabled": { refused: "there is one host, and no zone to shift away from", unless: [false] },
      remoteNetworkConfig: { refused: "hybrid nodes are not built" },
      "computeConfig.enabled": { refused: AUTO_MODE, unless: [false] },
      "storageConfig.blockStorage.enabled": { refused: AUTO_MODE, unless: [false] },
      deletionProtection: "used",
      "controlPlaneScalingConfig.tier": { refused: "control planes have one size", unless: ["standard"] },
    },
    async handle(input, context) {
      const key = clusterKey(context, input.name ?? "");
      const digest = digestOf(input);
      const known = await room.store.get(CLUSTERS, key);
      if (known !== undefined) return repeated(room, known.value, { input, digest });
      const record = await readCluster(room, context, { input, digest });
      try {
        await room.store.transact([
          { op: "create", collection: CLUSTERS, key, value: record },
          ...creatorsEntry(room.ids, record),
          ...selfManaged(record, input),
        ]);
      } catch (error) {
        if (isProblem(error, "already-exists")) throw clusterExists(record.name);
        throw error;
      }
      return { cluster: clusterView(record, undefined) };
    },
  });
}

/** CoreDNS, which the add-on controller installs. There is no node that aws-node and kube-proxy would run on. */
function selfManaged(cluster: ClusterRecord, { bootstrapSelfManagedAddons = true }: CreateClusterRequest): readonly Write[] {
  if (!bootstrapSelfManagedAddons) return [];
  return SELF_MANAGED.map(({ name, version }) => {
    const value: AddonRecord = {
      account: cluster.account,
      region: cluster.region,
      clusterName: cluster.name,
      name,
      selfManaged: true,
      id: "",
      version,
      createdAtMs: cluster.createdAtMs,
      modifiedAtMs: cluster.createdAtMs,
      configuration: {},
      resolveConflicts: "NONE",
      tags: {},
      generation: 1,
      updates: [],
      token: "",
    };
    return { op: "create", collection: ADDONS, key: `${recordPrefix(cluster)}${name}`, value };
  });
}

interface Asked {
  readonly input: CreateClusterRequest;
  readonly digest: string;
}

async function repeated(room: EksRoom, known: ClusterRecord, { input, digest }: Asked): Promise<CreateClusterResponse> {
  if (known.request.token !== input.clientRequestToken || known.deletingSinceMs !== undefined) throw clusterExists(known.name);
  if (known.request.digest !== digest) {
    throw invalidParameter(`The client request token was already used with other parameters for cluster ${known.name}`, known.name);
  }
  const plane = await room.store.get(CONTROL_PLANES, clusterKey(known, known.name));
  return { cluster: clusterView(known, plane?.value) };
}

async function readCluster(room: EksRoom, context: RequestContext, { input, digest }: Asked): Promise<ClusterRecord> {
  const { ports, ids } = room;
  const { account, region } = context;
  const version = readVersion(input.version);
  const tags = { ...input.tags };
  const fault = faultOfTags(tags);
  if (fault !== undefined) throw invalidParameter(fault);
  await checkRole(ports.roles, context, input.roleArn ?? "");
  const { vpc, cidr } = await readVpc(ports.network, context, input.resourcesVpcConfig ?? {});
  const { authenticationMode = "CONFIG_MAP", bootstrapClusterCreatorAdminPermissions: creatorIsAdmin = true } = input.accessConfig ?? {};
  return {
    account,
    region,
    name: input.name ?? "",
    uid: ids.hex(32),
    createdAtMs: context.nowMs,
    version,
    roleArn: input.roleArn ?? "",
    tags,
    vpc,
    serviceCidr: readServiceCidr(input.kubernetesNetworkConfig?.serviceIpv4Cidr, cidr),
    authenticationMode,
    creatorArn: canonicalArn(context.principal.arn),
    creatorIsAdmin,
    supportType: input.upgradePolicy?.supportType ?? "EXTENDED",
    deletionProtection: input.deletionProtection ?? false,
    logging: changeLogs([], input.logging?.clusterLogging),
    oidcId: ids.hex(32).toUpperCase(),
    attachmentId: ids.uuid(),
    groupSuffix: ids.digits(10),
    request: { token: input.clientRequestToken ?? "", digest },
  };
}

/** Of all but the token, whatever the order of members. */
function digestOf({ clientRequestToken: _token, ...rest }: CreateClusterRequest): string {
  return createHash("sha256").update(inOrder(rest)).digest("hex");
}

function inOrder(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inOrder).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${inOrder(member)}`)
    .join(",")}}`;
}
