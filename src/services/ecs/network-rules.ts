import type { NetworkConfiguration } from "@aws-sdk/client-ecs";
import type { Scope } from "../../core/scope.ts";
import { invalidParameter } from "./errors.ts";
import type { NetworkLookup } from "./ports.ts";
import type { ServiceSubnetRecord } from "./records.ts";

const MAXIMUM_SUBNETS = 16;
const MAXIMUM_GROUPS = 5;

export interface ResolvedNetwork {
  readonly subnets: readonly ServiceSubnetRecord[];
  readonly vpcId: string;
  /** The VPC's default group where the caller named none. */
  readonly securityGroupIds: readonly string[];
  readonly requestedSecurityGroupIds: readonly string[];
  readonly assignPublicIp: boolean;
}

/**
 * Looks an awsvpcConfiguration up: subnets and groups exist and are of one VPC.
 * @throws InvalidParameterException with AWS's words.
 */
export async function resolveNetwork(lookup: NetworkLookup, scope: Scope, configuration: NetworkConfiguration | undefined): Promise<ResolvedNetwork> {
  const awsvpc = configuration?.awsvpcConfiguration;
  if (awsvpc === undefined) throw invalidParameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  const subnetIds = [...new Set(awsvpc.subnets)];
  if (subnetIds.length === 0) throw invalidParameter("subnets can not be empty.");
  if (subnetIds.length > MAXIMUM_SUBNETS) throw invalidParameter(`subnets can have at most ${MAXIMUM_SUBNETS} items.`);
  const subnets = await lookup.subnets(scope, subnetIds);
  const missing = subnetIds.find((id) => !subnets.some((subnet) => subnet.subnetId === id));
  if (missing !== undefined) {
    throw invalidParameter(
      `Error retrieving subnet information for [${subnetIds.join(", ")}]: The subnet ID '${missing}' does not exist (ErrorCode: InvalidSubnetID.NotFound)`,
    );
  }
  const vpcId = subnets[0]?.vpcId ?? "";
  if (subnets.some((subnet) => subnet.vpcId !== vpcId)) throw invalidParameter("Subnets must belong to the same VPC.");
  const requested = [...new Set(awsvpc.securityGroups)];
  return {
    subnets: subnets.map(({ subnetId, availabilityZone }) => ({ subnetId, availabilityZone })),
    vpcId,
    securityGroupIds: await resolveGroups(lookup, scope, { vpcId, requested }),
    requestedSecurityGroupIds: requested,
    assignPublicIp: awsvpc.assignPublicIp === "ENABLED",
  };
}

async function resolveGroups(
  lookup: NetworkLookup,
  scope: Scope,
  { vpcId, requested }: { readonly vpcId: string; readonly requested: readonly string[] },
): Promise<readonly string[]> {
  if (requested.length > MAXIMUM_GROUPS) throw invalidParameter(`securityGroups can have at most ${MAXIMUM_GROUPS} items.`);
  if (requested.length === 0) {
    const own = await lookup.defaultSecurityGroup(scope, vpcId);
    if (own === undefined) throw invalidParameter(`VPC ${vpcId} has no default security group; name one in securityGroups.`);
    return [own];
  }
  const groups = await lookup.securityGroups(scope, requested);
  const missing = requested.find((id) => !groups.some((group) => group.groupId === id));
  if (missing !== undefined) {
    throw invalidParameter(
      `Error retrieving security group information for [${requested.join(", ")}]: The security group '${missing}' does not exist (ErrorCode: InvalidGroup.NotFound)`,
    );
  }
  const foreign = groups.find((group) => group.vpcId !== vpcId);
  if (foreign !== undefined)
    throw invalidParameter(`Security group ${foreign.groupId} does not appear to belong to the same VPC as the input subnets.`);
  return requested;
}

/** The API's shape of a resolved network, as the caller gave it. */
export function networkView(network: Pick<ResolvedNetwork, "subnets" | "requestedSecurityGroupIds" | "assignPublicIp">): NetworkConfiguration {
  return {
    awsvpcConfiguration: {
      subnets: network.subnets.map((subnet) => subnet.subnetId),
      securityGroups: [...network.requestedSecurityGroupIds],
      assignPublicIp: network.assignPublicIp ? "ENABLED" : "DISABLED",
    },
  };
}
