import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import { groupsOf, type ListenerAction, type ListenerRecord, type LoadBalancerRecord } from "../../contracts/load-balancing.ts";
import { AwsError } from "../../core/aws-error.ts";
import type { Scope } from "../../core/scope.ts";
import { readAction } from "./actions.ts";
import { invalidConfiguration, unsupported } from "./errors.ts";
import { forwarders, requireTargetGroup, type Elbv2Room } from "./room.ts";

export interface ActionRequest {
  readonly actions: readonly Action[];
  readonly balancer: LoadBalancerRecord;
  /** Of the listener. */
  readonly protocol: ListenerRecord["protocol"];
}

/**
 * Reads an action, and checks that its groups may be behind this load balancer.
 * @throws AwsError what `readAction` throws; TargetGroupNotFound, InvalidConfigurationRequest, TargetGroupAssociationLimit, UnsupportedFeature.
 */
export async function resolveAction(room: Elbv2Room, scope: Scope, { actions, balancer, protocol }: ActionRequest): Promise<ListenerAction> {
  const action = readAction(actions);
  if (protocol === "TCP" && action.type !== "forward")
    throw invalidConfiguration(`Actions of type '${action.type}' are not supported with a Network Load Balancer; use 'forward'`);
  const groups = groupsOf(action);
  if (protocol === "TCP" && groups.length > 1)
    throw unsupported("A listener of a Network Load Balancer forwards to one target group: weights are not built there yet");
  const all = groups.length === 0 ? [] : await forwarders(room, scope);
  for (const { targetGroupArn } of groups) {
    const group = await requireTargetGroup(room, scope, targetGroupArn);
    if (group.vpcId !== balancer.vpcId)
      throw invalidConfiguration(`The target group '${group.arn}' is in a different VPC than load balancer '${balancer.arn}'`);
    if (group.protocol !== protocol)
      throw invalidConfiguration(
        `The target group '${group.arn}' of protocol '${group.protocol}' cannot be used by a listener of protocol '${protocol}'`,
      );
    const elsewhere = all.some(({ loadBalancerArn, groupArns }) => loadBalancerArn !== balancer.arn && groupArns.includes(group.arn));
    if (elsewhere) {
      throw new AwsError(
        "TargetGroupAssociationLimit",
        `The following target groups cannot be associated with more than one load balancer: ${group.arn}`,
      );
    }
  }
  return action;
}
