import { isDeepStrictEqual } from "node:util";
import type { ListenerRecord, LoadBalancerRecord, LoadBalancerView, RuleRecord, Tags, TargetGroupRecord } from "../contracts/load-balancing.ts";
import type { Scope } from "../core/scope.ts";
import { Problem } from "../core/problem.ts";
import type { GroupModel, ListenerModel, Model } from "./model.ts";
import { resourceTag, stackTags, type StackName } from "./names.ts";
import type { IngressCluster, IngressPorts } from "./ports.ts";
import type { DeployedGroup } from "./records.ts";
import { actionInput, attributeInputs, conditionInput, healthCheckInput, isSameAction, tagInputs, type GroupArns } from "./to-api.ts";

type Ports = Pick<IngressPorts, "elbv2" | "network">;

/** Whose resources they are. */
export interface Owner extends Scope {
  readonly cluster: { readonly name: string; readonly uid: string };
  readonly vpcId: string;
  readonly stack: StackName;
}

export interface Deployed {
  readonly balancerArn: string;
  readonly dnsName: string;
  readonly groups: readonly DeployedGroup[];
}

/**
 * Brings the resources of a Service or a group of Ingresses to what the model says: what is there and right stays untouched. Each is found by
 * its tags, so that a deployment that broke off goes on. @throws AwsError what ELBv2 says of it; Problem.
 */
export async function deploy(
  ports: Ports,
  cluster: IngressCluster,
  { stack, model }: { readonly stack: StackName; readonly model: Model },
): Promise<Deployed> {
  const { account, region, vpcId } = cluster;
  const owner: Owner = { account, region, vpcId, cluster, stack };
  const securityGroupIds = await securityGroups(ports, cluster, { stack, model });
  const arns = new Map<string, string>();
  for (const group of model.groups) arns.set(group.id, await ensureGroup(ports, owner, group));
  const balancer = await ensureBalancer(ports, { owner, cluster }, { model, securityGroupIds });
  await convergeListeners(ports, balancer, model.listeners, arns);
  const kept = new Set(arns.values());
  for (const { arn } of await ownGroups(ports, owner))
    if (!kept.has(arn)) await ports.elbv2.call(owner, "DeleteTargetGroup", { TargetGroupArn: arn });
  await removeSecurityGroups(ports, owner, securityGroupIds);
  const groups = model.groups.map(({ id, name, source }) => ({ arn: arns.get(id) ?? "", name, source }));
  return { balancerArn: balancer.arn, dnsName: balancer.dnsName, groups };
}

/** Takes all resources of a stack away. Answers false while something of them is still being taken away. @throws AwsError, e.g. deletion protection. */
export async function removeStack(ports: Ports, owner: Owner): Promise<boolean> {
  for (const { arn } of (await ownBalancers(ports, owner)).map(({ record }) => record))
    await ports.elbv2.call(owner, "DeleteLoadBalancer", { LoadBalancerArn: arn });
  for (const { arn } of await ownGroups(ports, owner)) await ports.elbv2.call(owner, "DeleteTargetGroup", { TargetGroupArn: arn });
  return await removeSecurityGroups(ports, owner, []);
}

function isOwn({ cluster, stack }: Owner, tags: Tags): boolean {
  return Object.entries(stackTags(cluster, stack)).every(([key, value]) => tags[key] === value);
}

async function ownBalancers({ elbv2 }: Ports, owner: Owner): Promise<readonly LoadBalancerView[]> {
  return (await elbv2.balancing.loadBalancers(owner)).filter(({ record }) => isOwn(owner, record.tags));
}

async function ownGroups({ elbv2 }: Ports, owner: Owner): Promise<readonly TargetGroupRecord[]> {
  return (await elbv2.balancing.targetGroups(owner)).filter(({ tags }) => isOwn(owner, tags));
}

async function securityGroups(
  { network }: Ports,
  cluster: IngressCluster,
  { stack, model }: { readonly stack: StackName; readonly model: Model },
): Promise<readonly string[]> {
  const { access, name } = model.balancer;
  if (access.kind === "given") return [...access.groupIds, ...(access.reachesPods ? [cluster.clusterGroupId] : [])];
  const { account, region, vpcId } = cluster;
  const own = await network.ensureGroup({
    account,
    region,
    vpcId,
    name,
    description: `[k8s] Managed SecurityGroup for LoadBalancer of ${stack.kind} ${stack.id} of ${cluster.name}`,
    tags: { ...stackTags(cluster, stack), [resourceTag(stack)]: "ManagedLBSecurityGroup" },
    cidrs: access.cidrs,
    ports: model.listeners.map(({ port }) => port),
  });
  return [own, cluster.clusterGroupId];
}

async function removeSecurityGroups({ network }: Ports, owner: Owner, kept: readonly string[]): Promise<boolean> {
  const groups = await network.groups(owner, owner.vpcId, stackTags(owner.cluster, owner.stack));
  const gone = await Promise.all(groups.filter(({ groupId }) => !kept.includes(groupId)).map(({ groupId }) => network.deleteGroup(owner, groupId)));
  return gone.every(Boolean);
}

async function ensureGroup(ports: Ports, owner: Owner, model: GroupModel): Promise<string> {
  const { elbv2 } = ports;
  const known = (await ownGroups(ports, owner)).find(({ name }) => name === model.name);
  const check = healthCheckInput(model.healthCheck);
  if (known === undefined) {
    const { name: Name, protocol: Protocol, port: Port, tags } = model;
    const request = { Name, Protocol, Port, VpcId: owner.vpcId, TargetType: "ip", Tags: tagInputs(tags), ...check };
    const made = (await elbv2.call(owner, "CreateTargetGroup", request)) as { readonly TargetGroups: readonly { readonly TargetGroupArn: string }[] };
    const arn = made.TargetGroups[0]?.TargetGroupArn ?? "";
    if (Object.keys(model.attributes).length > 0)
      await elbv2.call(owner, "ModifyTargetGroupAttributes", { TargetGroupArn: arn, Attributes: attributeInputs(model.attributes) });
    return arn;
  }
  const { arn } = known;
  if (!isDeepStrictEqual(check, healthCheckInput(known.healthCheck))) await elbv2.call(owner, "ModifyTargetGroup", { TargetGroupArn: arn, ...check });
  if (differs(known.attributes, model.attributes))
    await elbv2.call(owner, "ModifyTargetGroupAttributes", { TargetGroupArn: arn, Attributes: attributeInputs(model.attributes) });
  await ensureTags(ports, owner, { arn, known: known.tags, wanted: model.tags });
  return arn;
}

/** Attributes that the model leaves out stay as they are, as on AWS. */
function differs(known: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).some(([key, value]) => known[key] !== value);
}

async function ensureTags(
  { elbv2 }: Ports,
  scope: Scope,
  { arn, known, wanted }: { readonly arn: string; readonly known: Tags; readonly wanted: Tags },
): Promise<void> {
  if (differs(known, wanted)) await elbv2.call(scope, "AddTags", { ResourceArns: [arn], Tags: tagInputs(wanted) });
  const rest = Object.keys(known).filter((key) => wanted[key] === undefined);
  if (rest.length > 0) await elbv2.call(scope, "RemoveTags", { ResourceArns: [arn], TagKeys: rest });
}

interface BalancerParts {
  readonly model: Model;
  readonly securityGroupIds: readonly string[];
}

async function ensureBalancer(
  ports: Ports,
  { owner, cluster }: { readonly owner: Owner; readonly cluster: IngressCluster },
  parts: BalancerParts,
): Promise<LoadBalancerRecord> {
  const { elbv2 } = ports;
  const { balancer: wanted } = parts.model;
  const known = (await ownBalancers(ports, owner)).map(({ record }) => record);
  const fitting = known.find((record) => fits(record, parts));
  // Name, scheme, subnets and groups of a load balancer are for its life.
  for (const { arn } of known.filter((record) => record !== fitting)) await elbv2.call(owner, "DeleteLoadBalancer", { LoadBalancerArn: arn });
  const record = fitting ?? (await createBalancer(ports, { owner, cluster }, parts));
  if (differs(record.attributes, wanted.attributes))
    await elbv2.call(owner, "ModifyLoadBalancerAttributes", { LoadBalancerArn: record.arn, Attributes: attributeInputs(wanted.attributes) });
  await ensureTags(ports, owner, { arn: record.arn, known: record.tags, wanted: wanted.tags });
  return record;
}

function fits(record: LoadBalancerRecord, { model: { balancer }, securityGroupIds }: BalancerParts): boolean {
  const subnets = record.subnets.map(({ subnetId }) => subnetId).sort();
  return (
    record.name === balancer.name &&
    (record.type ?? "application") === balancer.type &&
    record.scheme === balancer.scheme &&
    isDeepStrictEqual([...record.securityGroupIds].sort(), [...securityGroupIds].sort()) &&
    (balancer.subnetIds === undefined || isDeepStrictEqual(subnets, [...balancer.subnetIds].sort()))
  );
}

async function createBalancer(
  ports: Ports,
  { owner, cluster }: { readonly owner: Owner; readonly cluster: IngressCluster },
  { model, securityGroupIds }: BalancerParts,
): Promise<LoadBalancerRecord> {
  const { name: Name, scheme: Scheme, type: Type, subnetIds, tags } = model.balancer;
  const Subnets = subnetIds ?? (await subnetsFor(ports, cluster, Scheme));
  const request = { Name, Scheme, Type, Subnets, SecurityGroups: securityGroupIds, Tags: tagInputs(tags) };
  const made = (await ports.elbv2.call(owner, "CreateLoadBalancer", request)) as {
    readonly LoadBalancers: readonly { readonly LoadBalancerArn: string }[];
  };
  const arn = made.LoadBalancers[0]?.LoadBalancerArn;
  const found = (await ports.elbv2.balancing.loadBalancers(owner)).find(({ record }) => record.arn === arn);
  if (found === undefined) throw new Problem("conflict", `the load balancer ${Name} was deleted as soon as it was made`);
  return found.record;
}

/** Those that are tagged for it, else the cluster's own; one for each zone. */
async function subnetsFor({ network }: Ports, cluster: IngressCluster, scheme: "internal" | "internet-facing"): Promise<readonly string[]> {
  const all = await network.subnets(cluster, cluster.vpcId);
  const role = scheme === "internal" ? "kubernetes.io/role/internal-elb" : "kubernetes.io/role/elb";
  const tagged = all.filter(({ tags }) => tags[role] === "1" || tags[role] === "");
  const usable = tagged.length > 0 ? tagged : all.filter(({ subnetId }) => cluster.subnetIds.includes(subnetId));
  const zones = new Map<string, string>();
  for (const { subnetId, availabilityZone } of [...usable].sort((a, b) => (a.subnetId < b.subnetId ? -1 : 1))) {
    if (!zones.has(availabilityZone)) zones.set(availabilityZone, subnetId);
  }
  return [...zones.values()];
}

async function convergeListeners({ elbv2 }: Ports, balancer: LoadBalancerRecord, wanted: readonly ListenerModel[], arns: GroupArns): Promise<void> {
  const known = (await elbv2.balancing.listeners(balancer)).filter(({ loadBalancerArn }) => loadBalancerArn === balancer.arn);
  for (const { arn } of known.filter(({ port }) => !wanted.some((model) => model.port === port))) {
    await elbv2.call(balancer, "DeleteListener", { ListenerArn: arn });
  }
  for (const model of wanted) {
    const listener = await ensureListener({ elbv2 }, balancer, { model, known: known.find(({ port }) => port === model.port), arns });
    await convergeRules({ elbv2 }, balancer, { listenerArn: listener, model, arns });
  }
}

interface ListenerParts {
  readonly model: ListenerModel;
  readonly known: ListenerRecord | undefined;
  readonly arns: GroupArns;
}

async function ensureListener({ elbv2 }: Pick<Ports, "elbv2">, balancer: LoadBalancerRecord, { model, known, arns }: ListenerParts): Promise<string> {
  const DefaultActions = [actionInput(model.action, arns)];
  if (known === undefined) {
    const request = { LoadBalancerArn: balancer.arn, Port: model.port, Protocol: model.protocol, DefaultActions, Tags: tagInputs(model.tags) };
    const made = (await elbv2.call(balancer, "CreateListener", request)) as { readonly Listeners: readonly { readonly ListenerArn: string }[] };
    return made.Listeners[0]?.ListenerArn ?? "";
  }
  if (!isSameAction(known.defaultAction, model.action, arns))
    await elbv2.call(balancer, "ModifyListener", { ListenerArn: known.arn, DefaultActions });
  return known.arn;
}

interface RuleParts {
  readonly listenerArn: string;
  readonly model: ListenerModel;
  readonly arns: GroupArns;
}

/**
 * Rules have the priorities from 1 on. Where more come they are written from the last to the first, else from the first to the last: so each of
 * those that move stands at one of its two places at every moment.
 */
async function convergeRules({ elbv2 }: Pick<Ports, "elbv2">, balancer: LoadBalancerRecord, { listenerArn, model, arns }: RuleParts): Promise<void> {
  const rules = (await elbv2.balancing.rules(balancer)).filter((rule) => rule.listenerArn === listenerArn);
  const known = new Map(rules.map((rule) => [rule.priority, rule]));
  const wanted = model.rules.map((rule, index) => ({ ...rule, priority: index + 1 }));
  const isSame = (record: RuleRecord, rule: (typeof wanted)[number]): boolean =>
    isDeepStrictEqual(record.conditions, rule.conditions) && isSameAction(record.action, rule.action, arns);
  for (const rule of wanted.length > rules.length ? wanted.toReversed() : wanted) {
    const record = known.get(rule.priority);
    const input = { Conditions: rule.conditions.map(conditionInput), Actions: [actionInput(rule.action, arns)] };
    if (record === undefined)
      await elbv2.call(balancer, "CreateRule", { ListenerArn: listenerArn, Priority: rule.priority, Tags: tagInputs(model.tags), ...input });
    else if (!isSame(record, rule)) await elbv2.call(balancer, "ModifyRule", { RuleArn: record.arn, ...input });
  }
  for (const { arn, priority } of rules) if (priority > wanted.length) await elbv2.call(balancer, "DeleteRule", { RuleArn: arn });
}
