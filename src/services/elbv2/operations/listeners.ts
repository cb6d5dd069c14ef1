import type {
  CreateListenerInput,
  CreateListenerOutput,
  DeleteListenerInput,
  DescribeListenersInput,
  DescribeListenersOutput,
  DescribeRulesInput,
  DescribeRulesOutput,
  ModifyListenerInput,
  ModifyListenerOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { ListenerAction, ListenerRecord } from "../../../contracts/load-balancing.ts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import type { Scope } from "../../../core/scope.ts";
import { actionMembers, readDefaultAction } from "../actions.ts";
import { invalidConfiguration, listenersNotFound, loadBalancerNotFound, validationError } from "../errors.ts";
import { forwardsTo, operation, pageOf, requireListener, requireLoadBalancer, requireTargetGroup, translating, type Elbv2Room } from "../room.ts";
import { withTags } from "../tags.ts";
import { defaultRuleArn, defaultRuleView, listenerView } from "../views.ts";

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function listenerOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [createListener(room), describeListeners(room), modifyListener(room), deleteListener(room), describeRules(room)];
}

function createListener(room: Elbv2Room) {
  return operation<CreateListenerInput, CreateListenerOutput>({
    name: "CreateListener",
    members: { LoadBalancerArn: "used", Protocol: "used", Port: "used", Tags: "used", ...actionMembers("DefaultActions") },
    async handle(input, context) {
      const { LoadBalancerArn: loadBalancerArn = "", Port: port } = input;
      const { record } = await requireLoadBalancer(room, context, loadBalancerArn);
      checkProtocol(input.Protocol);
      if (input.Protocol === undefined) throw validationError("A listener protocol must be specified");
      if (port === undefined) throw validationError("A listener port must be specified");
      const defaultAction = await readAction(room, context, { actions: input.DefaultActions ?? [], loadBalancerArn, vpcId: record.vpcId });
      const tags = withTags({}, input.Tags);
      const spec = { loadBalancerArn, port, protocol: "HTTP", defaultAction, attributes: {}, tags } as const;
      const creation = translating(room.balancing.createListener(spec), "already-exists", () => duplicate(loadBalancerArn));
      const made = await translating(creation, "not-found", () => loadBalancerNotFound(loadBalancerArn));
      return { Listeners: [listenerView(made)] };
    },
  });
}

function modifyListener(room: Elbv2Room) {
  return operation<ModifyListenerInput, ModifyListenerOutput>({
    name: "ModifyListener",
    members: { ListenerArn: "used", Protocol: "used", Port: "used", ...actionMembers("DefaultActions") },
    async handle({ ListenerArn: arn = "", Port: port, Protocol: protocol, DefaultActions: actions }, context) {
      const before = await requireListener(room, context, arn);
      checkProtocol(protocol);
      const { loadBalancerArn, vpcId } = before;
      const defaultAction = actions === undefined ? undefined : await readAction(room, context, { actions, loadBalancerArn, vpcId });
      const update = room.balancing.updateListener(arn, (latest): ListenerRecord => {
        return { ...latest, port: port ?? latest.port, defaultAction: defaultAction ?? latest.defaultAction };
      });
      const changed = await translating(update, "already-exists", () => duplicate(loadBalancerArn));
      return { Listeners: [listenerView(changed)] };
    },
  });
}

function checkProtocol(protocol: string | undefined): void {
  if (protocol === undefined || protocol === "HTTP") return;
  if (protocol === "HTTPS") {
    throw new AwsError("UnsupportedProtocol", "Listeners of protocol 'HTTPS' are not built yet: there are no certificates; use 'HTTP'");
  }
  throw invalidConfiguration(`Listener protocol '${protocol}' is not supported with an Application Load Balancer; use 'HTTP'`);
}

interface ActionRequest {
  readonly actions: Parameters<typeof readDefaultAction>[0];
  readonly loadBalancerArn: string;
  readonly vpcId: string;
}

async function readAction(room: Elbv2Room, scope: Scope, { actions, loadBalancerArn, vpcId }: ActionRequest): Promise<ListenerAction> {
  const action = readDefaultAction(actions);
  if (action.type !== "forward") return action;
  const group = await requireTargetGroup(room, scope, action.targetGroupArn);
  if (group.vpcId !== vpcId)
    throw invalidConfiguration(`The target group '${group.arn}' is in a different VPC than load balancer '${loadBalancerArn}'`);
  const elsewhere = (await room.balancing.listeners(scope)).some((listener) => {
    return forwardsTo(listener) === group.arn && listener.loadBalancerArn !== loadBalancerArn;
  });
  if (elsewhere) {
    throw new AwsError(
      "TargetGroupAssociationLimit",
      `The following target groups cannot be associated with more than one load balancer: ${group.arn}`,
    );
  }
  return action;
}

function duplicate(loadBalancerArn: string): AwsError {
  return new AwsError("DuplicateListener", `A listener already exists on this port for this load balancer '${loadBalancerArn}'`);
}

function describeListeners(room: Elbv2Room) {
  return operation<DescribeListenersInput, DescribeListenersOutput>({
    name: "DescribeListeners",
    members: { LoadBalancerArn: "used", ListenerArns: "used", Marker: "used", PageSize: "used" },
    async handle(input, context) {
      const { LoadBalancerArn: balancer, ListenerArns: arns = [] } = input;
      if (balancer === undefined && arns.length === 0) throw validationError("You must specify either listener ARNs or a load balancer ARN");
      if (balancer !== undefined && arns.length > 0)
        throw validationError("Listener ARNs and a load balancer ARN cannot be specified at the same time");
      if (balancer !== undefined) await requireLoadBalancer(room, context, balancer);
      const all = await room.balancing.listeners(context);
      if (!arns.every((arn) => all.some((listener) => listener.arn === arn))) throw listenersNotFound();
      const wanted = all.filter(({ arn, loadBalancerArn }) => (balancer === undefined ? arns.includes(arn) : loadBalancerArn === balancer));
      const { items, NextMarker } = pageOf(wanted, input);
      return { Listeners: items.map(listenerView), NextMarker };
    },
  });
}

function deleteListener(room: Elbv2Room) {
  return operation<DeleteListenerInput, object>({
    name: "DeleteListener",
    members: { ListenerArn: "used" },
    async handle({ ListenerArn: arn = "" }, context) {
      await requireListener(room, context, arn);
      await room.balancing.deleteListener(arn);
      return {};
    },
  });
}

function describeRules(room: Elbv2Room) {
  return operation<DescribeRulesInput, DescribeRulesOutput>({
    name: "DescribeRules",
    members: { ListenerArn: "used", RuleArns: "used", Marker: "used", PageSize: { ignored: "a listener has one rule" } },
    async handle({ ListenerArn: arn, RuleArns: rules = [] }, context) {
      if (arn !== undefined) return { Rules: [defaultRuleView(await requireListener(room, context, arn))] };
      if (rules.length === 0) throw validationError("You must specify either a listener ARN or rule ARNs");
      const found = (await room.balancing.listeners(context)).filter((listener) => rules.includes(defaultRuleArn(listener)));
      if (found.length < rules.length) throw new AwsError("RuleNotFound", "One or more rules not found");
      return { Rules: found.map(defaultRuleView) };
    },
  });
}
