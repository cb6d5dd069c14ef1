import type {
  CreatePodIdentityAssociationRequest,
  CreatePodIdentityAssociationResponse,
  DeletePodIdentityAssociationRequest,
  DeletePodIdentityAssociationResponse,
  DescribePodIdentityAssociationRequest,
  DescribePodIdentityAssociationResponse,
  ListPodIdentityAssociationsRequest,
  ListPodIdentityAssociationsResponse,
  PodIdentityAssociation,
  UpdatePodIdentityAssociationRequest,
  UpdatePodIdentityAssociationResponse,
} from "@aws-sdk/client-eks";
import type { Stored } from "../../../contracts/store.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { invalidParameter, resourceInUse, resourceNotFound } from "../errors.ts";
import { podIdentityAssociationArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import { externalIdOf } from "../pod-identity/rules.ts";
import { type ClusterRecord, POD_IDENTITIES, type PodIdentityAssociationRecord, recordPrefix } from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";
import { faultOfTags } from "../tags.ts";

const MOST_ASSOCIATIONS = 1000;
const NO_SESSION_POLICIES = { refused: "session policies are not evaluated yet" } as const;

function view(association: PodIdentityAssociationRecord): PodIdentityAssociation {
  const { clusterName, namespace, serviceAccount, roleArn, targetRoleArn } = association;
  return {
    clusterName,
    namespace,
    serviceAccount,
    roleArn,
    associationArn: podIdentityAssociationArn(association),
    associationId: association.id,
    tags: { ...association.tags },
    createdAt: new Date(association.createdAtMs),
    modifiedAt: new Date(association.modifiedAtMs),
    disableSessionTags: !association.hasSessionTags,
    ...(targetRoleArn !== undefined && { targetRoleArn, externalId: externalIdOf(association) }),
  };
}

function associationsOf(room: EksRoom, cluster: ClusterRecord): Promise<readonly Stored<PodIdentityAssociationRecord>[]> {
  return room.store.list(POD_IDENTITIES, { prefix: recordPrefix(cluster) });
}

/** @throws ResourceNotFoundException */
async function requireAssociation(room: EksRoom, cluster: ClusterRecord, id: string): Promise<Stored<PodIdentityAssociationRecord>> {
  const found = await room.store.get(POD_IDENTITIES, `${recordPrefix(cluster)}${id}`);
  if (found === undefined) throw resourceNotFound(`No association found with associationId ${id} for cluster ${cluster.name}.`, cluster.name);
  return found;
}

/** @throws InvalidParameterException for a role that is not there. */
async function checkRoles(room: EksRoom, clusterName: string, roleArns: readonly (string | undefined)[]): Promise<void> {
  for (const arn of roleArns) {
    if (arn === undefined || (await room.ports.roles.exists(arn))) continue;
    throw invalidParameter(`Role provided in the request does not exist: ${arn}; create it with aws iam create-role`, clusterName);
  }
}

/**
 * Lets the pods of a service account, of those that are created from now on, stand for a role. The service account need not exist yet.
 * Differs: holds for pods on Fargate, where AWS has no agent.
 * @throws ResourceInUseException, InvalidParameterException, ResourceLimitExceededException
 */
export function createPodIdentityAssociation(room: EksRoom) {
  return operation<CreatePodIdentityAssociationRequest, CreatePodIdentityAssociationResponse>({
    name: "CreatePodIdentityAssociation",
    members: {
      clusterName: "used",
      namespace: "used",
      serviceAccount: "used",
      roleArn: "used",
      clientRequestToken: "used",
      tags: "used",
      disableSessionTags: "used",
      targetRoleArn: "used",
      policy: NO_SESSION_POLICIES,
    },
    async handle({ clusterName = "", namespace = "", serviceAccount = "", roleArn = "", tags = {}, ...input }, context) {
      const fault = faultOfTags(tags);
      if (fault !== undefined) throw invalidParameter(fault, clusterName);
      for (const [parameter, name] of Object.entries({ namespace, serviceAccount })) {
        if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name))
          throw invalidParameter(`The parameter ${parameter} contains invalid characters.`, clusterName);
      }
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { targetRoleArn, disableSessionTags = false, clientRequestToken: token = "" } = input;
      const all = await associationsOf(room, cluster);
      const known = all.find(({ value }) => value.namespace === namespace && value.serviceAccount === serviceAccount)?.value;
      if (known !== undefined && known.token === token) return { association: view(known) };
      if (known !== undefined) throw resourceInUse(`Association already exists: ${known.id}`, clusterName);
      if (all.length >= MOST_ASSOCIATIONS) {
        throw new AwsError("ResourceLimitExceededException", `Cluster ${clusterName} has ${MOST_ASSOCIATIONS} associations, the most it can have`);
      }
      await checkRoles(room, clusterName, [roleArn, targetRoleArn]);
      const value: PodIdentityAssociationRecord = {
        account: cluster.account,
        region: cluster.region,
        clusterName,
        id: `a-${room.ids.alphanumeric(17).toLowerCase()}`,
        namespace,
        serviceAccount,
        roleArn,
        ...(targetRoleArn !== undefined && { targetRoleArn }),
        hasSessionTags: !disableSessionTags,
        tags: { ...tags },
        createdAtMs: context.nowMs,
        modifiedAtMs: context.nowMs,
        token,
      };
      await room.store.transact([{ op: "create", collection: POD_IDENTITIES, key: `${recordPrefix(cluster)}${value.id}`, value }]);
      return { association: view(value) };
    },
  });
}

export function describePodIdentityAssociation(room: EksRoom) {
  return operation<DescribePodIdentityAssociationRequest, DescribePodIdentityAssociationResponse>({
    name: "DescribePodIdentityAssociation",
    members: { clusterName: "used", associationId: "used" },
    async handle({ clusterName = "", associationId = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      return { association: view((await requireAssociation(room, cluster, associationId)).value) };
    },
  });
}

/** Another role, for the credentials that are fetched from now on. An empty `targetRoleArn` takes the target away. */
export function updatePodIdentityAssociation(room: EksRoom) {
  return operation<UpdatePodIdentityAssociationRequest, UpdatePodIdentityAssociationResponse>({
    name: "UpdatePodIdentityAssociation",
    members: {
      clusterName: "used",
      associationId: "used",
      roleArn: "used",
      clientRequestToken: { ignored: "the same update twice is one" },
      disableSessionTags: "used",
      targetRoleArn: "used",
      policy: NO_SESSION_POLICIES,
    },
    async handle({ clusterName = "", associationId = "", roleArn, disableSessionTags, targetRoleArn }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      await checkRoles(room, clusterName, [roleArn, targetRoleArn === "" ? undefined : targetRoleArn]);
      const value = await changeRecord(room, POD_IDENTITIES, {
        find: () => requireAssociation(room, cluster, associationId),
        change: (association) => ({
          ...association,
          ...(roleArn !== undefined && { roleArn }),
          ...(disableSessionTags !== undefined && { hasSessionTags: !disableSessionTags }),
          ...(targetRoleArn !== undefined && { targetRoleArn: targetRoleArn === "" ? undefined : targetRoleArn }),
          modifiedAtMs: context.nowMs,
        }),
      });
      return { association: view(value) };
    },
  });
}

/** Pods that are there get no credentials any more; new ones are not told of any. */
export function deletePodIdentityAssociation(room: EksRoom) {
  return operation<DeletePodIdentityAssociationRequest, DeletePodIdentityAssociationResponse>({
    name: "DeletePodIdentityAssociation",
    members: { clusterName: "used", associationId: "used" },
    async handle({ clusterName = "", associationId = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { key, value } = await requireAssociation(room, cluster, associationId);
      await room.store.transact([{ op: "delete", collection: POD_IDENTITIES, key }]);
      return { association: view(value) };
    },
  });
}

export function listPodIdentityAssociations(room: EksRoom) {
  return operation<ListPodIdentityAssociationsRequest, ListPodIdentityAssociationsResponse>({
    name: "ListPodIdentityAssociations",
    members: { clusterName: "used", namespace: "used", serviceAccount: "used", maxResults: "used", nextToken: "used" },
    async handle({ clusterName = "", namespace, serviceAccount, ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const wanted = (await associationsOf(room, cluster))
        .map(({ value }) => value)
        .filter((each) => (namespace ?? each.namespace) === each.namespace && (serviceAccount ?? each.serviceAccount) === each.serviceAccount);
      const { items, nextToken } = pageOf(wanted, ({ id }) => id, page);
      return {
        associations: items.map((each) => ({
          clusterName,
          namespace: each.namespace,
          serviceAccount: each.serviceAccount,
          associationArn: podIdentityAssociationArn(each),
          associationId: each.id,
        })),
        ...(nextToken !== undefined && { nextToken }),
      };
    },
  });
}
