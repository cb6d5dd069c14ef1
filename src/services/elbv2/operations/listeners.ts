import type {
  CreateListenerInput,
  CreateListenerOutput,
  DeleteListenerInput,
  DescribeListenersInput,
  DescribeListenersOutput,
  ModifyListenerInput,
  ModifyListenerOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { ListenerRecord, LoadBalancerRecord } from "../../../contracts/load-balancing.ts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { actionMembers } from "../actions.ts";
import { invalidConfiguration, listenersNotFound, loadBalancerNotFound, validationError } from "../errors.ts";
import { resolveAction } from "../resolve-action.ts";
import { operation, pageOf, requireListener, requireLoadBalancer, translating, type Elbv2Room } from "../room.ts";
import { withTags } from "../tags.ts";
import { listenerView } from "../views.ts";

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function listenerOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [createListener(room), describeListeners(room), modifyListener(room), deleteListener(room)];
}

function createListener(room: Elbv2Room) {
  return operation<CreateListenerInput, CreateListenerOutput>({
    name: "CreateListener",
    members: { LoadBalancerArn: "used", Protocol: "used", Port: "used", Tags: "used", ...actionMembers("DefaultActions") },
    async handle(input, context) {
      const { LoadBalancerArn: loadBalancerArn = "", Port: port } = input;
      const { record } = await requireLoadBalancer(room, context, loadBalancerArn);
      const protocol = readProtocol(input.Protocol, record);
      if (protocol === undefined) throw validationError("A listener protocol must be specified");
      if (port === undefined) throw validationError("A listener port must be specified");
      const defaultAction = await resolveAction(room, context, { actions: input.DefaultActions ?? [], balancer: record, protocol });
      const tags = withTags({}, input.Tags);
      const spec = { loadBalancerArn, port, protocol, defaultAction, attributes: {}, tags } as const;
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
      const { loadBalancerArn } = before;
      const { record: balancer } = await requireLoadBalancer(room, context, loadBalancerArn);
      readProtocol(protocol, balancer);
      const defaultAction = actions === undefined ? undefined : await resolveAction(room, context, { actions, balancer, protocol: before.protocol });
      const update = room.balancing.updateListener(arn, (latest): ListenerRecord => {
        return { ...latest, port: port ?? latest.port, defaultAction: defaultAction ?? latest.defaultAction };
      });
      const changed = await translating(update, "already-exists", () => duplicate(loadBalancerArn));
      return { Listeners: [listenerView(changed)] };
    },
  });
}

/** @throws AwsError UnsupportedProtocol, InvalidConfigurationRequest. */
function readProtocol(protocol: string | undefined, { type }: LoadBalancerRecord): ListenerRecord["protocol"] | undefined {
  if (protocol === undefined) return undefined;
  if (type === "network") {
    if (protocol === "TCP") return protocol;
    if (["UDP", "TCP_UDP", "TLS", "QUIC", "TCP_QUIC"].includes(protocol))
      throw new AwsError("UnsupportedProtocol", `Listeners of protocol '${protocol}' are not built yet; use 'TCP'`);
    throw invalidConfiguration(`Listener protocol '${protocol}' is not supported with a Network Load Balancer; use 'TCP'`);
  }
  if (protocol === "HTTP") return protocol;
  if (protocol === "HTTPS") {
    throw new AwsError("UnsupportedProtocol", "Listeners of protocol 'HTTPS' are not built yet: there are no certificates; use 'HTTP'");
  }
  throw invalidConfiguration(`Listener protocol '${protocol}' is not supported with an Application Load Balancer; use 'HTTP'`);
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
