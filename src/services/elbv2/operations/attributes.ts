import type {
  DescribeCapacityReservationInput,
  DescribeCapacityReservationOutput,
  DescribeListenerAttributesInput,
  DescribeLoadBalancerAttributesInput,
  DescribeTargetGroupAttributesInput,
  ModifyListenerAttributesInput,
  ModifyLoadBalancerAttributesInput,
  ModifyTargetGroupAttributesInput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Operation } from "../../../contracts/service.ts";
import { changeAttributes, describeAttributes, listenerTable, loadBalancerTable, targetGroupTable, type AttributeOutput } from "../attributes.ts";
import { operation, requireListener, requireLoadBalancer, requireTargetGroup, type Elbv2Room } from "../room.ts";

interface Attributes {
  readonly Attributes: AttributeOutput[];
}

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function attributeOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [...describing(room), ...modifying(room)];
}

function describing(room: Elbv2Room) {
  return [
    operation<DescribeLoadBalancerAttributesInput, Attributes>({
      name: "DescribeLoadBalancerAttributes",
      members: { LoadBalancerArn: "used" },
      async handle({ LoadBalancerArn: arn = "" }, context) {
        const { record } = await requireLoadBalancer(room, context, arn);
        return { Attributes: describeAttributes(loadBalancerTable(record), record.attributes) };
      },
    }),
    operation<DescribeTargetGroupAttributesInput, Attributes>({
      name: "DescribeTargetGroupAttributes",
      members: { TargetGroupArn: "used" },
      async handle({ TargetGroupArn: arn = "" }, context) {
        const group = await requireTargetGroup(room, context, arn);
        return { Attributes: describeAttributes(targetGroupTable(group), group.attributes) };
      },
    }),
    operation<DescribeListenerAttributesInput, Attributes>({
      name: "DescribeListenerAttributes",
      members: { ListenerArn: "used" },
      async handle({ ListenerArn: arn = "" }, context) {
        const listener = await requireListener(room, context, arn);
        return { Attributes: describeAttributes(listenerTable(listener), listener.attributes) };
      },
    }),
    operation<DescribeCapacityReservationInput, DescribeCapacityReservationOutput>({
      name: "DescribeCapacityReservation",
      members: { LoadBalancerArn: "used" },
      async handle({ LoadBalancerArn: arn = "" }, context) {
        await requireLoadBalancer(room, context, arn);
        return { CapacityReservationState: [] };
      },
    }),
  ];
}

function modifying(room: Elbv2Room) {
  return [
    operation<ModifyLoadBalancerAttributesInput, Attributes>({
      name: "ModifyLoadBalancerAttributes",
      members: { LoadBalancerArn: "used", Attributes: "used" },
      async handle({ LoadBalancerArn: arn = "", Attributes: changes = [] }, context) {
        await requireLoadBalancer(room, context, arn);
        const { record } = await room.balancing.updateLoadBalancer(arn, (before) => {
          return { ...before, attributes: changeAttributes(loadBalancerTable(before), before.attributes, changes) };
        });
        return { Attributes: describeAttributes(loadBalancerTable(record), record.attributes) };
      },
    }),
    operation<ModifyTargetGroupAttributesInput, Attributes>({
      name: "ModifyTargetGroupAttributes",
      members: { TargetGroupArn: "used", Attributes: "used" },
      async handle({ TargetGroupArn: arn = "", Attributes: changes = [] }, context) {
        await requireTargetGroup(room, context, arn);
        const group = await room.balancing.updateTargetGroup(arn, (before) => {
          return { ...before, attributes: changeAttributes(targetGroupTable(before), before.attributes, changes) };
        });
        return { Attributes: describeAttributes(targetGroupTable(group), group.attributes) };
      },
    }),
    operation<ModifyListenerAttributesInput, Attributes>({
      name: "ModifyListenerAttributes",
      members: { ListenerArn: "used", Attributes: "used" },
      async handle({ ListenerArn: arn = "", Attributes: changes = [] }, context) {
        await requireListener(room, context, arn);
        const listener = await room.balancing.updateListener(arn, (before) => {
          return { ...before, attributes: changeAttributes(listenerTable(before), before.attributes, changes) };
        });
        return { Attributes: describeAttributes(listenerTable(listener), listener.attributes) };
      },
    }),
  ];
}
