import type { Cluster, EKSClient } from "@aws-sdk/client-eks";
import { systemClock } from "../../../core/clock.ts";
import { CommandError } from "../../command.ts";
import type { Session } from "../../session.ts";
import { ensureRole } from "../surroundings.ts";
import type { ClusterAccess } from "./kubernetes-api.ts";

const LOOK_MS = 500;
const CLUSTER_ROLE = {
  name: "eksClusterRole",
  service: "eks.amazonaws.com",
  policyArn: "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
};
const POD_ROLE = {
  name: "AmazonEKSFargatePodExecutionRole",
  service: "eks-fargate-pods.amazonaws.com",
  policyArn: "arn:aws:iam::aws:policy/AmazonEKSFargatePodExecutionRolePolicy",
};

export interface WantedCluster {
  readonly name: string;
  readonly namespace: string;
  readonly subnetIds: readonly string[];
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** The cluster, made at the first use, with a Fargate profile for the namespace. Each part that is there stays as it is. @throws CommandError */
export async function ensureEksCluster(session: Session, wanted: WantedCluster): Promise<ClusterAccess> {
  const eks = await session.eks();
  const cluster = (await describe(eks, wanted.name)) ?? (await create(session, eks, wanted));
  const served = await untilActive(eks, wanted, cluster);
  await ensureProfile(session, eks, wanted);
  return { name: wanted.name, endpoint: served.endpoint ?? "", authority: Buffer.from(served.certificateAuthority?.data ?? "", "base64") };
}

async function describe(eks: EKSClient, name: string): Promise<Cluster | undefined> {
  const { DescribeClusterCommand, ResourceNotFoundException } = await import("@aws-sdk/client-eks");
  try {
    return (await eks.send(new DescribeClusterCommand({ name }))).cluster;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}

async function create(session: Session, eks: EKSClient, { name, subnetIds, say }: WantedCluster): Promise<Cluster | undefined> {
  const { CreateClusterCommand } = await import("@aws-sdk/client-eks");
  say(`there is no cluster ${name} yet: it is created`);
  const roleArn = await ensureRole(session, CLUSTER_ROLE);
  const resourcesVpcConfig = { subnetIds: [...subnetIds] };
  const accessConfig = { authenticationMode: "API_AND_CONFIG_MAP" as const };
  return (await eks.send(new CreateClusterCommand({ name, roleArn, resourcesVpcConfig, accessConfig }))).cluster;
}

async function untilActive(eks: EKSClient, { name, say, signal }: WantedCluster, first: Cluster | undefined): Promise<Cluster> {
  let cluster = first;
  let shown = "";
  for (;;) {
    if (cluster === undefined) throw new CommandError(`The cluster ${name} was deleted meanwhile.`);
    // While it is being updated its API server answers, but for some seconds.
    if (cluster.status === "ACTIVE") return cluster;
    if (cluster.status === "FAILED") {
      const why = cluster.health?.issues?.map(({ message }) => message).join("; ");
      throw new CommandError(
        `The cluster ${name} has failed: ${why}\n\`tidegate doctor\` says what is missing; \`aws eks delete-cluster --name ${name}\`, then again.`,
      );
    }
    if (cluster.status === "DELETING")
      throw new CommandError(`The cluster ${name} is being deleted: wait until it is gone, or name another with --cluster.`);
    const text = `the cluster ${name} is ${cluster.status}`;
    if (text !== shown) say((shown = text));
    if (signal.aborted) throw new CommandError(`Interrupted. The cluster ${name} becomes ready without this command.`, 130);
    await systemClock.sleep(LOOK_MS);
    cluster = await describe(eks, name);
  }
}

/** One whose selectors take every pod of the namespace, under the namespace's name. */
async function ensureProfile(session: Session, eks: EKSClient, { name: clusterName, namespace, subnetIds, say }: WantedCluster): Promise<void> {
  const { CreateFargateProfileCommand, DescribeFargateProfileCommand, ListFargateProfilesCommand } = await import("@aws-sdk/client-eks");
  const { fargateProfileNames = [] } = await eks.send(new ListFargateProfilesCommand({ clusterName }));
  const fargateProfileName = `deploy-${namespace}`;
  if (!fargateProfileNames.includes(fargateProfileName)) {
    say(`a Fargate profile for the namespace ${namespace}`);
    const podExecutionRoleArn = await ensureRole(session, POD_ROLE);
    const selectors = [{ namespace }];
    await eks.send(new CreateFargateProfileCommand({ clusterName, fargateProfileName, podExecutionRoleArn, subnets: [...subnetIds], selectors }));
  }
  for (;;) {
    const { fargateProfile } = await eks.send(new DescribeFargateProfileCommand({ clusterName, fargateProfileName }));
    if (fargateProfile?.status === "ACTIVE") return;
    if (fargateProfile?.status !== "CREATING") throw new CommandError(`The Fargate profile ${fargateProfileName} is ${fargateProfile?.status}.`);
    await systemClock.sleep(LOOK_MS);
  }
}
