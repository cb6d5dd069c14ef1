/** Names of what the network makes outside the store. Each carries the instance id, or lies in a namespace whose name does. */

/** The VPC's name in names: eight hex digits of its id. */
export function shortId(vpcId: string): string {
  return vpcId.replace(/^vpc-/, "").slice(0, 8);
}

export const NETNS_FOLDER = "/run/netns";

export function netnsName(instanceId: string, vpcId: string): string {
  return `tg-${instanceId}-${shortId(vpcId)}`;
}

export function netnsPath(instanceId: string, vpcId: string): string {
  return `${NETNS_FOLDER}/${netnsName(instanceId, vpcId)}`;
}

/** All namespaces of an instance start so. */
export function netnsPrefix(instanceId: string): string {
  return `tg-${instanceId}-`;
}

/** What a link's name says of its VPC: six hex digits of its id, by which no two VPCs of an instance are alike. */
export function linkId(vpcId: string): string {
  return shortId(vpcId).slice(0, 6);
}

/** Host end of the veth to a VPC; at most 15 characters. */
export function hostLinkName(instanceId: string, vpcId: string): string {
  return `${hostLinkPrefix(instanceId)}${linkId(vpcId)}`;
}

export function hostLinkPrefix(instanceId: string): string {
  return `tg${instanceId}-`;
}

/** VPC end of the veth to the host. */
export const UPLINK = "host0";
/** Task end of an ENI's veth. */
export const TASK_LINK = "eth0";

/** VPC end of an ENI's veth; at most 15 characters. */
export function eniLinkName(eniId: string): string {
  return `eni${eniId.replace(/^eni-/, "").slice(0, 12)}`;
}

/** Our table in each VPC's namespace. */
export const VPC_TABLE = "tidegate";

/** Our table on the host. */
export function hostTable(instanceId: string): string {
  return `tidegate_${instanceId}`;
}

/** Marks our rules in other people's iptables chains. */
export function firewallComment(instanceId: string): string {
  return `tidegate-${instanceId}`;
}

/** Where tasks find their metadata and credentials. */
export const METADATA_ADDRESS = "169.254.170.2";
/** Where pods with an association of EKS Pod Identity find their credentials, as at its agent. */
export const POD_IDENTITY_ADDRESS = "169.254.170.23";
/** Where tasks find the AWS APIs and the registry. */
export const ENDPOINT_ADDRESS = "169.254.171.2";
/** The resolver's second address in every VPC, as on AWS. */
export const RESOLVER_ADDRESS = "169.254.169.253";
/** Where the metadata server listens on the host's end of each VPC's veth. */
export const METADATA_PORT = 51_679;
/** Where Tidegate listens there for what calls the kubelets of the VPC's nodes. */
export const KUBELET_PORT = 51_680;
/** Of every node. */
export const NODE_PORT = 10_250;
/** The name under which containers reach the host ports that the user opened. */
export const HOST_NAME = "host.tidegate.internal";

/** The domain of a region's private host names. */
export function privateDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`;
}
