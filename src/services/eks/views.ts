import type { Cluster, ClusterStatus } from "@aws-sdk/client-eks";
import { loggingView, sameLogs } from "./control-plane/logging.ts";
import { clusterArn, issuerOf } from "./names.ts";
import { type ClusterRecord, type ControlPlaneRecord, endpointAccessOf } from "./records.ts";
import { PLATFORM_VERSION } from "./versions.ts";

/** Whether the endpoint is not yet open to exactly those that it should be open to. */
export function isAccessDue(cluster: ClusterRecord, plane: ControlPlaneRecord | undefined): boolean {
  return plane?.network !== undefined && plane.network.access !== endpointAccessOf(cluster);
}

export function statusOf(cluster: ClusterRecord, plane: ControlPlaneRecord | undefined): ClusterStatus {
  if (cluster.deletingSinceMs !== undefined) return "DELETING";
  const isUpdating =
    plane?.state === "ACTIVE" && (plane.updating === true || isAccessDue(cluster, plane) || !sameLogs(cluster.logging, plane.logging));
  return isUpdating ? "UPDATING" : (plane?.state ?? "CREATING");
}

/** A cluster as the API shows it. The endpoint and its authority come with ACTIVE. */
export function clusterView(cluster: ClusterRecord, plane: ControlPlaneRecord | undefined): Cluster {
  const { vpc } = cluster;
  const isServed = plane?.state === "ACTIVE" && plane.network !== undefined;
  return {
    name: cluster.name,
    arn: clusterArn(cluster),
    createdAt: new Date(cluster.createdAtMs),
    version: cluster.version,
    ...(isServed && { endpoint: `https://${plane.network?.address}` }),
    roleArn: cluster.roleArn,
    resourcesVpcConfig: {
      subnetIds: [...vpc.subnetIds],
      securityGroupIds: [...vpc.securityGroupIds],
      ...(plane?.network !== undefined && { clusterSecurityGroupId: plane.network.clusterGroupId }),
      vpcId: vpc.vpcId,
      endpointPublicAccess: vpc.publicAccess,
      endpointPrivateAccess: vpc.privateAccess,
      publicAccessCidrs: [...vpc.publicAccessCidrs],
    },
    kubernetesNetworkConfig: { serviceIpv4Cidr: cluster.serviceCidr, ipFamily: "ipv4", elasticLoadBalancing: { enabled: false } },
    logging: loggingView(cluster.logging),
    ...(isServed && { identity: { oidc: { issuer: issuerOf(cluster) } } }),
    status: statusOf(cluster, plane),
    certificateAuthority: isServed ? { data: plane.certificateAuthority } : {},
    platformVersion: PLATFORM_VERSION,
    tags: { ...cluster.tags },
    health: { issues: plane?.issue === undefined ? [] : [{ code: "Other", message: plane.issue, resourceIds: [] }] },
    accessConfig: { authenticationMode: cluster.authenticationMode, bootstrapClusterCreatorAdminPermissions: cluster.creatorIsAdmin },
    upgradePolicy: { supportType: cluster.supportType },
    deletionProtection: cluster.deletionProtection,
  };
}
