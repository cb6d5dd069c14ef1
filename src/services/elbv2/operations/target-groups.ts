import { isDeepStrictEqual } from "node:util";
import type {
  CreateTargetGroupInput,
  CreateTargetGroupOutput,
  DeleteTargetGroupInput,
  DescribeTargetGroupsInput,
  DescribeTargetGroupsOutput,
  ModifyTargetGroupInput,
  ModifyTargetGroupOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { TargetGroupRecord } from "../../../contracts/load-balancing.ts";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { targetGroupsNotFound, unsupported, validationError } from "../errors.ts";
import { changeHealthCheck, DEFAULT_HEALTH_CHECK, DEFAULT_TCP_HEALTH_CHECK } from "../health-check.ts";
import { forwarders, loadBalancersOf, operation, pageOf, requireLoadBalancer, requireTargetGroup, translating, type Elbv2Room } from "../room.ts";
import { withTags } from "../tags.ts";
import { targetGroupView } from "../views.ts";

const HEALTH_MEMBERS = {
  HealthCheckProtocol: "used",
  HealthCheckPort: "used",
  HealthCheckEnabled: { refused: "health checks of ip targets cannot be switched off", unless: [true] },
  HealthCheckPath: "used",
  HealthCheckIntervalSeconds: "used",
  HealthCheckTimeoutSeconds: "used",
  HealthyThresholdCount: "used",
  UnhealthyThresholdCount: "used",
  "Matcher.HttpCode": "used",
} as const;

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function targetGroupOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [createTargetGroup(room), describeTargetGroups(room), modifyTargetGroup(room), deleteTargetGroup(room)];
}

function createTargetGroup(room: Elbv2Room) {
  return operation<CreateTargetGroupInput, CreateTargetGroupOutput>({
    name: "CreateTargetGroup",
    members: {
      Name: "used",
      Protocol: "used",
      // Terraform's provider sends it empty when the user set none; AWS takes that as its default.
      ProtocolVersion: { refused: "HTTP/2 and gRPC targets are not built yet", unless: ["HTTP1", ""] },
      Port: "used",
      VpcId: "used",
      TargetType: "used",
      Tags: "used",
      IpAddressType: { refused: "Tidegate's VPCs have IPv4 addresses only", unless: ["ipv4"] },
      ...HEALTH_MEMBERS,
    },
    async handle(input, context) {
      const spec = await readSpec(room, input, context);
      const known = (await room.balancing.targetGroups(context)).find(({ name }) => name === spec.name);
      if (known !== undefined) return { TargetGroups: [await view(room, requireSame(known, spec))] };
      const made = await translating(room.balancing.createTargetGroup(spec), "already-exists", () => duplicateName(spec.name));
      return { TargetGroups: [targetGroupView(made, [])] };
    },
  });
}

type Spec = Omit<TargetGroupRecord, "arn" | "createdAtMs">;

async function readSpec(room: Elbv2Room, input: CreateTargetGroupInput, { account, region }: RequestContext): Promise<Spec> {
  const name = checkName(input.Name ?? "");
  const { TargetType: type = "instance", Protocol: protocol, Port: port, VpcId: vpcId } = input;
  if (type !== "ip") throw unsupported(`Target groups of target type '${type}' are not built yet; create one of target type 'ip'`);
  if (protocol === undefined) throw validationError("A protocol must be specified");
  if (protocol !== "HTTP" && protocol !== "TCP")
    throw unsupported(`Target groups of protocol '${protocol}' are not built yet; create one of protocol 'HTTP' or 'TCP'`);
  if (port === undefined) throw validationError("A port must be specified");
  if (vpcId === undefined) throw validationError("A VPC ID must be specified");
  if ((await room.network.defaultSecurityGroup({ account, region }, vpcId)) === undefined) {
    throw validationError(`The VPC ID '${vpcId}' is not found`);
  }
  return {
    account,
    region,
    name,
    protocol,
    ...(protocol === "HTTP" && { protocolVersion: "HTTP1" }),
    port,
    vpcId,
    targetType: "ip",
    healthCheck: changeHealthCheck(protocol === "TCP" ? DEFAULT_TCP_HEALTH_CHECK : DEFAULT_HEALTH_CHECK, input, protocol),
    attributes: {},
    tags: withTags({}, input.Tags),
  };
}

function checkName(name: string): string {
  if (name.length > 32) throw validationError(`Target group name '${name}' cannot be longer than '32' characters`);
  if (!/^[A-Za-z0-9-]+$/.test(name)) {
    throw validationError(`Target group name '${name}' can only contain characters that are alphanumeric characters and hyphens(-)`);
  }
  if (/^-|-$/.test(name)) throw validationError(`Target group name '${name}' cannot begin or end with hyphens(-)`);
  return name;
}

/** Creating twice with the same settings answers the first. */
function requireSame(known: TargetGroupRecord, spec: Spec): TargetGroupRecord {
  const settings = ({ protocol, port, vpcId, targetType, healthCheck }: Spec): unknown => [protocol, port, vpcId, targetType, healthCheck];
  if (!isDeepStrictEqual(settings(known), settings(spec))) throw duplicateName(spec.name);
  return known;
}

function duplicateName(name: string): AwsError {
  return new AwsError("DuplicateTargetGroupName", `A target group with the same name '${name}' exists, but with different settings`);
}

async function view(room: Elbv2Room, group: TargetGroupRecord) {
  return targetGroupView(group, loadBalancersOf(group, await forwarders(room, group)));
}

function describeTargetGroups(room: Elbv2Room) {
  return operation<DescribeTargetGroupsInput, DescribeTargetGroupsOutput>({
    name: "DescribeTargetGroups",
    members: { LoadBalancerArn: "used", TargetGroupArns: "used", Names: "used", Marker: "used", PageSize: "used" },
    async handle(input, context) {
      const { LoadBalancerArn: balancer, TargetGroupArns: arns = [], Names: names = [] } = input;
      if (balancer !== undefined) await requireLoadBalancer(room, context, balancer);
      const [groups, all] = await Promise.all([room.balancing.targetGroups(context), forwarders(room, context)]);
      const known = new Set(groups.flatMap(({ arn, name }) => [arn, name]));
      if (![...arns, ...names].every((key) => known.has(key))) throw targetGroupsNotFound();
      const wanted = groups
        .filter(({ arn }) => arns.length === 0 || arns.includes(arn))
        .filter(({ name }) => names.length === 0 || names.includes(name))
        .filter((group) => balancer === undefined || loadBalancersOf(group, all).includes(balancer));
      const { items, NextMarker } = pageOf(wanted, input);
      return { TargetGroups: items.map((group) => targetGroupView(group, loadBalancersOf(group, all))), NextMarker };
    },
  });
}

function modifyTargetGroup(room: Elbv2Room) {
  return operation<ModifyTargetGroupInput, ModifyTargetGroupOutput>({
    name: "ModifyTargetGroup",
    members: { TargetGroupArn: "used", ...HEALTH_MEMBERS },
    async handle(input, context) {
      const { arn } = await requireTargetGroup(room, context, input.TargetGroupArn ?? "");
      const changed = await room.balancing.updateTargetGroup(arn, (before) => {
        return { ...before, healthCheck: changeHealthCheck(before.healthCheck, input, before.protocol) };
      });
      return { TargetGroups: [await view(room, changed)] };
    },
  });
}

function deleteTargetGroup(room: Elbv2Room) {
  return operation<DeleteTargetGroupInput, object>({
    name: "DeleteTargetGroup",
    members: { TargetGroupArn: "used" },
    async handle({ TargetGroupArn: arn = "" }, context) {
      const inUse = (): AwsError => new AwsError("ResourceInUse", `Target group '${arn}' is currently in use by a listener or a rule`);
      const known = (await room.balancing.targetGroups(context)).some((group) => group.arn === arn);
      if (known) await translating(room.balancing.deleteTargetGroup(arn), "conflict", inUse);
      return {};
    },
  });
}
