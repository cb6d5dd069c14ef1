import type {
  DeregisterTargetsInput,
  DescribeTargetHealthInput,
  DescribeTargetHealthOutput,
  RegisterTargetsInput,
  TargetDescription,
  TargetHealthDescription,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { isIPv4 } from "node:net";
import type { Target, TargetHealth } from "../../../contracts/load-balancer.ts";
import type { TargetGroupRecord } from "../../../contracts/load-balancing.ts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { operation, requireTargetGroup, type Elbv2Room } from "../room.ts";

const TARGET_MEMBERS = {
  "Targets.Id": "used",
  "Targets.Port": "used",
  "Targets.AvailabilityZone": { ignored: "all of a VPC's zones are on one host" },
} as const;

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function targetOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [registerTargets(room), deregisterTargets(room), describeTargetHealth(room)];
}

function registerTargets(room: Elbv2Room) {
  return operation<RegisterTargetsInput, object>({
    name: "RegisterTargets",
    members: { TargetGroupArn: "used", ...TARGET_MEMBERS },
    async handle({ TargetGroupArn: arn = "", Targets: targets = [] }, context) {
      const group = await requireTargetGroup(room, context, arn);
      await room.balancing.registerTargets(arn, readTargets(targets, group));
      return {};
    },
  });
}

function deregisterTargets(room: Elbv2Room) {
  return operation<DeregisterTargetsInput, object>({
    name: "DeregisterTargets",
    members: { TargetGroupArn: "used", ...TARGET_MEMBERS },
    async handle({ TargetGroupArn: arn = "", Targets: targets = [] }, context) {
      const group = await requireTargetGroup(room, context, arn);
      await room.balancing.deregisterTargets(arn, readTargets(targets, group));
      return {};
    },
  });
}

function describeTargetHealth(room: Elbv2Room) {
  return operation<DescribeTargetHealthInput, DescribeTargetHealthOutput>({
    name: "DescribeTargetHealth",
    members: { TargetGroupArn: "used", ...TARGET_MEMBERS },
    async handle({ TargetGroupArn: arn = "", Targets: targets = [] }, context) {
      const group = await requireTargetGroup(room, context, arn);
      const healths = await room.balancing.targetHealth(arn);
      const asked = readTargets(targets, group);
      const shown =
        asked.length === 0 ? healths : asked.map((target) => healths.find((health) => isSame(health, target)) ?? notRegistered(arn, target));
      return { TargetHealthDescriptions: shown.map((health) => describe(health, group)) };
    },
  });
}

function readTargets(targets: readonly TargetDescription[], group: TargetGroupRecord): readonly Target[] {
  return targets.map(({ Id: ip = "", Port: port = group.port }) => {
    if (!isIPv4(ip)) throw new AwsError("ValidationError", `The IP address '${ip}' is not a valid IPv4 address`);
    if (/^(127\.|169\.254\.|0\.|22[4-9]\.|2[3-5]\d\.)/.test(ip)) {
      throw new AwsError("InvalidTarget", `The IP address '${ip}' is not within a valid CIDR range for a target`);
    }
    return { ip, port };
  });
}

function isSame(a: Target, b: Target): boolean {
  return a.ip === b.ip && a.port === b.port;
}

function notRegistered(targetGroupArn: string, target: Target): TargetHealth {
  const words = { reason: "Target.NotRegistered", description: "Target is not registered to the target group" };
  return { targetGroupArn, ...target, state: "unused", ...words };
}

function describe(health: TargetHealth, group: TargetGroupRecord): TargetHealthDescription {
  const { port } = group.healthCheck;
  return {
    Target: { Id: health.ip, Port: health.port },
    HealthCheckPort: port === "traffic-port" ? String(health.port) : port,
    TargetHealth: {
      State: health.state,
      ...(health.reason === undefined ? {} : { Reason: health.reason as NonNullable<TargetHealthDescription["TargetHealth"]>["Reason"] }),
      ...(health.description === undefined ? {} : { Description: health.description }),
    },
  };
}
