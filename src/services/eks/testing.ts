import type { ClusterRecord } from "./records.ts";

/** A cluster as CreateCluster writes it down, for this room's tests. */
export function testCluster(more: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    account: "111122223333",
    region: "us-east-1",
    name: "shop",
    uid: "0123456789abcdef0123456789abcdef",
    createdAtMs: Date.UTC(2026, 0, 1),
    version: "1.36",
    roleArn: "arn:aws:iam::111122223333:role/eks",
    tags: {},
    vpc: {
      vpcId: "vpc-1",
      subnetIds: ["subnet-a", "subnet-b"],
      securityGroupIds: ["sg-own"],
      publicAccess: true,
      privateAccess: false,
      publicAccessCidrs: ["0.0.0.0/0"],
      endpointSubnet: { subnetId: "subnet-a", availabilityZone: "us-east-1a" },
    },
    serviceCidr: "10.100.0.0/16",
    authenticationMode: "CONFIG_MAP",
    creatorArn: "arn:aws:iam::111122223333:role/builder",
    creatorIsAdmin: true,
    supportType: "EXTENDED",
    deletionProtection: false,
    oidcId: "0123456789ABCDEF0123456789ABCDEF",
    attachmentId: "attachment-1",
    groupSuffix: "1234567890",
    request: { token: "t", digest: "d" },
    ...more,
  };
}
