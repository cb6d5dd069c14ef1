import type {
  CreateLoadBalancerInput,
  CreateLoadBalancerOutput,
  DeleteLoadBalancerInput,
  DescribeLoadBalancersInput,
  DescribeLoadBalancersOutput,
  SetIpAddressTypeInput,
  SetSecurityGroupsInput,
  SetSecurityGroupsOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { LoadBalancerRecord, LoadBalancerView } from "../../../contracts/load-balancing.ts";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import type { Scope } from "../../../core/scope.ts";
import { invalidConfiguration, loadBalancersNotFound, unsupported, validationError } from "../errors.ts";
import { operation, pageOf, requireLoadBalancer, translating, type Elbv2Room } from "../room.ts";
import { withTags } from "../tags.ts";
import { loadBalancerView } from "../views.ts";

const ONLY_IPV4 = "Tidegate's VPCs have IPv4 addresses only";

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function loadBalancerOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [createLoadBalancer(room), describeLoadBalancers(room), deleteLoadBalancer(room), setSecurityGroups(room), setIpAddressType(room)];
}

function createLoadBalancer(room: Elbv2Room) {
  return operation<CreateLoadBalancerInput, CreateLoadBalancerOutput>({
    name: "CreateLoadBalancer",
    members: {
      Name: "used",
      Subnets: "used",
      "SubnetMappings.SubnetId": "used",
      SecurityGroups: "used",
      Scheme: "used",
      Tags: "used",
      Type: "used",
      IpAddressType: { refused: ONLY_IPV4, unless: ["ipv4"] },
    },
    async handle(input, context) {
      const spec = await readSpec(room, input, context);
      const known = await findNamed(room, context, spec.name);
      if (known !== undefined) return { LoadBalancers: [loadBalancerView(requireSame(known, spec))] };
      const made = await translating(room.balancing.createLoadBalancer(spec), "already-exists", () => duplicateName(spec.name));
      return { LoadBalancers: [loadBalancerView(made)] };
    },
  });
}

type Spec = Omit<LoadBalancerRecord, "arn" | "createdAtMs" | "dnsName" | "deleting">;

async function readSpec(room: Elbv2Room, input: CreateLoadBalancerInput, { account, region }: RequestContext): Promise<Spec> {
  const name = checkName(input.Name ?? "");
  const { Type: type = "application", SecurityGroups: asked = [] } = input;
  if (type !== "application" && type !== "network") {
    throw unsupported(`Load balancers of type '${type}' are not built yet; create one of type 'application' or 'network'`);
  }
  const subnets = await readSubnets(room, { account, region }, input);
  const vpcId = subnets[0]?.vpcId ?? "";
  const isOpen = type === "network" && asked.length === 0;
  return {
    account,
    region,
    ...(type === "network" && { type }),
    name,
    scheme: input.Scheme === "internal" ? "internal" : "internet-facing",
    vpcId,
    subnets: subnets.map(({ subnetId, availabilityZone }) => ({ subnetId, availabilityZone })),
    securityGroupIds: isOpen ? [] : await readGroups(room, { account, region }, { asked, vpcId }),
    attributes: {},
    tags: withTags({}, input.Tags),
  };
}

function checkName(name: string): string {
  if (name.length > 32) throw validationError(`The load balancer name '${name}' cannot be longer than '32' characters`);
  if (!/^[A-Za-z0-9-]+$/.test(name)) throw validationError(`The load balancer name '${name}' can only contain alphanumeric characters and hyphens`);
  if (/^-|-$/.test(name)) throw validationError(`The load balancer name '${name}' cannot begin or end with a hyphen`);
  if (name.startsWith("internal-")) throw validationError(`The load balancer name '${name}' cannot begin with 'internal-'`);
  return name;
}

async function readSubnets(room: Elbv2Room, scope: Scope, { Subnets = [], SubnetMappings = [], Type }: CreateLoadBalancerInput) {
  if (Subnets.length > 0 && SubnetMappings.length > 0) throw validationError("You must specify either subnets or subnet mappings, not both");
  const ids = [...new Set(Subnets.length > 0 ? Subnets : SubnetMappings.map(({ SubnetId = "" }) => SubnetId))];
  const subnets = await room.network.subnets(scope, ids);
  const missing = ids.find((id) => !subnets.some(({ subnetId }) => subnetId === id));
  if (missing !== undefined) throw new AwsError("SubnetNotFound", `The subnet ID '${missing}' does not exist`);
  if (new Set(subnets.map(({ vpcId }) => vpcId)).size > 1) throw new AwsError("InvalidSubnet", "All subnets must belong to the same VPC");
  const zones = new Set(subnets.map(({ availabilityZone }) => availabilityZone));
  if (zones.size === 0) throw validationError("At least one subnet must be specified");
  if (zones.size < 2 && Type !== "network") throw validationError("At least two subnets in two different Availability Zones must be specified");
  if (zones.size < subnets.length) throw invalidConfiguration("A load balancer cannot be attached to multiple subnets in the same Availability Zone");
  return subnets;
}

async function readGroups(room: Elbv2Room, scope: Scope, { asked, vpcId }: { readonly asked: readonly string[]; readonly vpcId: string }) {
  if (asked.length === 0) {
    const fallback = await room.network.defaultSecurityGroup(scope, vpcId);
    return fallback === undefined ? [] : [fallback];
  }
  const groups = await room.network.securityGroups(scope, asked);
  const missing = asked.find((id) => !groups.some(({ groupId }) => groupId === id));
  if (missing !== undefined) throw new AwsError("InvalidSecurityGroup", `The security group '${missing}' does not exist`);
  const foreign = groups.find((group) => group.vpcId !== vpcId);
  if (foreign !== undefined)
    throw invalidConfiguration(`One or more security groups are invalid: '${foreign.groupId}' is not in the VPC of the subnets`);
  return [...new Set(asked)];
}

async function findNamed(room: Elbv2Room, scope: Scope, name: string): Promise<LoadBalancerView | undefined> {
  return (await room.balancing.loadBalancers(scope)).find(({ record }) => record.name === name);
}

/** Creating twice with the same settings answers the first. */
function requireSame(known: LoadBalancerView, spec: Spec): LoadBalancerView {
  const settings = ({ type, scheme, subnets, securityGroupIds }: Spec): string =>
    JSON.stringify([type, scheme, subnets.map(({ subnetId }) => subnetId).sort(), [...securityGroupIds].sort()]);
  if (settings(known.record) !== settings(spec)) throw duplicateName(spec.name);
  return known;
}

function duplicateName(name: string): AwsError {
  return new AwsError("DuplicateLoadBalancerName", `A load balancer with the same name '${name}' exists, but with different settings`);
}

function describeLoadBalancers(room: Elbv2Room) {
  return operation<DescribeLoadBalancersInput, DescribeLoadBalancersOutput>({
    name: "DescribeLoadBalancers",
    members: { LoadBalancerArns: "used", Names: "used", Marker: "used", PageSize: "used" },
    async handle(input, context) {
      const { LoadBalancerArns: arns = [], Names: names = [] } = input;
      if (arns.length > 0 && names.length > 0)
        throw validationError("Load balancer names and load balancer ARNs cannot be specified at the same time");
      const all = await room.balancing.loadBalancers(context);
      if (arns.length > 0)
        return {
          LoadBalancers: pick(
            all,
            arns,
            ({ arn }) => arn,
            () => loadBalancersNotFound(),
          ).map(loadBalancerView),
        };
      if (names.length > 0) {
        return {
          LoadBalancers: pick(
            all,
            names,
            ({ name }) => name,
            (missing) => loadBalancersNotFound(missing),
          ).map(loadBalancerView),
        };
      }
      const { items, NextMarker } = pageOf(
        all.map((view) => ({ arn: view.record.arn, view })),
        input,
      );
      return { LoadBalancers: items.map(({ view }) => loadBalancerView(view)), NextMarker };
    },
  });
}

function pick(
  all: readonly LoadBalancerView[],
  wanted: readonly string[],
  keyOf: (record: LoadBalancerRecord) => string,
  error: (missing: readonly string[]) => AwsError,
): readonly LoadBalancerView[] {
  const missing = wanted.filter((key) => !all.some(({ record }) => keyOf(record) === key));
  if (missing.length > 0) throw error(missing);
  return all.filter(({ record }) => wanted.includes(keyOf(record)));
}

function deleteLoadBalancer(room: Elbv2Room) {
  return operation<DeleteLoadBalancerInput, object>({
    name: "DeleteLoadBalancer",
    members: { LoadBalancerArn: "used" },
    async handle({ LoadBalancerArn: arn = "" }, context) {
      const found = (await room.balancing.loadBalancers(context)).find(({ record }) => record.arn === arn);
      if (found?.record.attributes["deletion_protection.enabled"] === "true") {
        throw new AwsError("OperationNotPermitted", `Load balancer '${arn}' cannot be deleted because deletion protection is enabled`);
      }
      if (found !== undefined) await room.balancing.deleteLoadBalancer(arn);
      return {};
    },
  });
}

function setSecurityGroups(room: Elbv2Room) {
  return operation<SetSecurityGroupsInput, SetSecurityGroupsOutput>({
    name: "SetSecurityGroups",
    members: { LoadBalancerArn: "used", SecurityGroups: "used" },
    async handle({ LoadBalancerArn: arn = "", SecurityGroups: asked = [] }, context) {
      const { record } = await requireLoadBalancer(room, context, arn);
      if (record.type === "network" && record.securityGroupIds.length === 0)
        throw invalidConfiguration("You cannot set security groups on a Network Load Balancer that was created without any");
      const groups = await readGroups(room, context, { asked, vpcId: record.vpcId });
      if ([...groups].sort().join() !== [...record.securityGroupIds].sort().join()) {
        throw unsupported("The security groups of a load balancer cannot be changed yet; change the groups' rules, or make the load balancer anew");
      }
      return { SecurityGroupIds: [...record.securityGroupIds] };
    },
  });
}

function setIpAddressType(room: Elbv2Room) {
  return operation<SetIpAddressTypeInput, { readonly IpAddressType: "ipv4" }>({
    name: "SetIpAddressType",
    members: { LoadBalancerArn: "used", IpAddressType: { refused: ONLY_IPV4, unless: ["ipv4"] } },
    async handle({ LoadBalancerArn: arn = "" }, context) {
      await requireLoadBalancer(room, context, arn);
      return { IpAddressType: "ipv4" };
    },
  });
}
