import type { Cluster, ClusterStatus } from "@aws-sdk/client-eks";
import { clusterArn, issuerOf } from "./names.ts";
import type { ClusterRecord, ControlPlaneRecord } from "./records.ts";
import { PLATFORM_VERSION } from "./versions.ts";

export function statusOf(cluster: ClusterRecord, plane: ControlPlaneRecord | undefined): ClusterStatus {
  return cluster.deletingSinceMs === undefined ? (plane?.state ?? "CREATING") : "DELETING";
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
    logging: { clusterLogging: [{ types: ["api", "audit", "authenticator", "controllerManager", "scheduler"], enabled: false }] },
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
