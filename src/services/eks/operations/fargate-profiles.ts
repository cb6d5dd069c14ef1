import type {
  CreateFargateProfileRequest,
  CreateFargateProfileResponse,
  DeleteFargateProfileRequest,
  DeleteFargateProfileResponse,
  DescribeFargateProfileRequest,
  DescribeFargateProfileResponse,
  FargateProfile,
  ListFargateProfilesRequest,
  ListFargateProfilesResponse,
} from "@aws-sdk/client-eks";
import type { Stored } from "../../../contracts/store.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { invalidParameter, invalidRequest, resourceInUse, resourceNotFound } from "../errors.ts";
import { fargateProfileArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import { checkProfileName, readSelectors } from "../profile-rules.ts";
import { CONTROL_PLANES, FARGATE_PROFILES, recordPrefix, type ClusterRecord, type FargateProfileRecord } from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";
import { faultOfTags } from "../tags.ts";

const MOST_PROFILES = 10;

function profileView(profile: FargateProfileRecord): FargateProfile {
  return {
    fargateProfileName: profile.name,
    fargateProfileArn: fargateProfileArn(profile),
    clusterName: profile.clusterName,
    createdAt: new Date(profile.createdAtMs),
    podExecutionRoleArn: profile.podExecutionRoleArn,
    subnets: profile.subnets.map(({ subnetId }) => subnetId),
    selectors: profile.selectors.map(({ namespace, labels }) => ({ namespace, labels: { ...labels } })),
    status: profile.state,
    tags: { ...profile.tags },
    health: { issues: [] },
  };
}

async function profilesOf(room: EksRoom, cluster: ClusterRecord): Promise<readonly Stored<FargateProfileRecord>[]> {
  return room.store.list(FARGATE_PROFILES, { prefix: recordPrefix(cluster) });
}

/** @throws ResourceNotFoundException */
async function requireProfile(room: EksRoom, cluster: ClusterRecord, name: string): Promise<Stored<FargateProfileRecord>> {
  const found = await room.store.get(FARGATE_PROFILES, `${recordPrefix(cluster)}${name}`);
  if (found === undefined) throw resourceNotFound(`No Fargate Profile found with name: ${name}.`, cluster.name);
  return found;
}

/**
 * Puts the pods that it selects on Fargate, once the API server knows of it: then it is ACTIVE.
 * Differs: a subnet may be public; its pods get no public address there either. Without subnets: all of the cluster's.
 * @throws InvalidParameterException, InvalidRequestException, ResourceInUseException, ResourceLimitExceededException
 */
export function createFargateProfile(room: EksRoom) {
  return operation<CreateFargateProfileRequest, CreateFargateProfileResponse>({
    name: "CreateFargateProfile",
    members: {
      fargateProfileName: "used",
      clusterName: "used",
      podExecutionRoleArn: "used",
      subnets: "used",
      selectors: "used",
      clientRequestToken: "used",
      tags: "used",
    },
    async handle({ fargateProfileName: name = "", clusterName = "", selectors: asked, tags = {}, ...input }, context) {
      checkProfileName(name, clusterName);
      const selectors = readSelectors(asked, clusterName);
      const fault = faultOfTags(tags);
      if (fault !== undefined) throw invalidParameter(fault, clusterName);
      const { key: clusterKey, value: cluster } = await requireCluster(room, context, clusterName);
      const plane = await room.store.get(CONTROL_PLANES, clusterKey);
      if (plane?.value.state !== "ACTIVE" || cluster.deletingSinceMs !== undefined) {
        throw invalidRequest(`Cluster ${clusterName} is not ACTIVE: wait until it is, then create the Fargate profile`, clusterName);
      }
      const { podExecutionRoleArn = "", clientRequestToken: token = "" } = input;
      const known = await profilesOf(room, cluster);
      const same = known.find(({ value }) => value.name === name)?.value;
      if (same !== undefined && same.token === token) return { fargateProfile: profileView(same) };
      if (same !== undefined) throw resourceInUse("A Fargate Profile already exists with this name in this cluster.", clusterName);
      const busy = known.find(({ value }) => value.state !== "ACTIVE")?.value;
      if (busy !== undefined) {
        const words = `cluster ${clusterName} currently has Fargate profile ${busy.name} in status ${busy.state}`;
        throw resourceInUse(`Cannot create Fargate Profile ${name} because ${words}`, clusterName);
      }
      if (known.length >= MOST_PROFILES) {
        throw new AwsError("ResourceLimitExceededException", `Cluster ${clusterName} has ${MOST_PROFILES} Fargate profiles, the most it can have`);
      }
      if (!(await room.ports.roles.exists(podExecutionRoleArn))) {
        throw invalidParameter(`The pod execution role ${podExecutionRoleArn} does not exist; create it with aws iam create-role`, clusterName);
      }
      const value: FargateProfileRecord = {
        account: cluster.account,
        region: cluster.region,
        clusterName,
        name,
        id: room.ids.uuid(),
        createdAtMs: context.nowMs,
        podExecutionRoleArn,
        subnets: await readSubnets(room, cluster, input.subnets),
        selectors,
        tags: { ...tags },
        state: "CREATING",
        token,
      };
      await room.store.transact([{ op: "create", collection: FARGATE_PROFILES, key: `${recordPrefix(cluster)}${name}`, value }]);
      return { fargateProfile: profileView(value) };
    },
  });
}

/** @throws InvalidParameterException for one that is not there, or in another VPC than the cluster */
async function readSubnets(room: EksRoom, cluster: ClusterRecord, asked: readonly string[] | undefined): Promise<FargateProfileRecord["subnets"]> {
  const subnetIds = asked === undefined || asked.length === 0 ? cluster.vpc.subnetIds : asked;
  const found = await room.ports.network.subnets(cluster, subnetIds);
  const inVpc = found.filter(({ vpcId }) => vpcId === cluster.vpc.vpcId);
  const missing = subnetIds.filter((id) => !inVpc.some(({ subnetId }) => subnetId === id));
  if (missing.length > 0) {
    throw invalidParameter(`The following subnets are not in the cluster's VPC ${cluster.vpc.vpcId}: ${missing.join(", ")}`, cluster.name);
  }
  return inVpc.map(({ subnetId, availabilityZone }) => ({ subnetId, availabilityZone }));
}

export function describeFargateProfile(room: EksRoom) {
  return operation<DescribeFargateProfileRequest, DescribeFargateProfileResponse>({
    name: "DescribeFargateProfile",
    members: { clusterName: "used", fargateProfileName: "used" },
    async handle({ clusterName = "", fargateProfileName = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      return { fargateProfile: profileView((await requireProfile(room, cluster, fargateProfileName)).value) };
    },
  });
}

export function listFargateProfiles(room: EksRoom) {
  return operation<ListFargateProfilesRequest, ListFargateProfilesResponse>({
    name: "ListFargateProfiles",
    members: { clusterName: "used", maxResults: "used", nextToken: "used" },
    async handle({ clusterName = "", ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { items, nextToken } = pageOf(await profilesOf(room, cluster), ({ value }) => value.name, page);
      return { fargateProfileNames: items.map(({ value }) => value.name), ...(nextToken !== undefined && { nextToken }) };
    },
  });
}

/** Deletes its pods too; then it is gone. @throws ResourceNotFoundException, ResourceInUseException while another is created or deleted */
export function deleteFargateProfile(room: EksRoom) {
  return operation<DeleteFargateProfileRequest, DeleteFargateProfileResponse>({
    name: "DeleteFargateProfile",
    members: { clusterName: "used", fargateProfileName: "used" },
    async handle({ clusterName = "", fargateProfileName: name = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      await requireProfile(room, cluster, name);
      const busy = (await profilesOf(room, cluster)).find(({ value }) => value.name !== name && value.state === "DELETING")?.value;
      if (busy !== undefined) {
        const words = `cluster ${clusterName} currently has Fargate profile ${busy.name} in status DELETING`;
        throw resourceInUse(`Cannot Delete Fargate Profile ${name} because ${words}`, clusterName);
      }
      const value = await changeRecord(room, FARGATE_PROFILES, {
        find: () => requireProfile(room, cluster, name),
        change: (profile): FargateProfileRecord => (profile.state === "DELETING" ? profile : { ...profile, state: "DELETING" }),
      });
      return { fargateProfile: profileView(value) };
    },
  });
}
