import { groupsOf, type ListenerRecord, type LoadBalancerView, type RuleRecord, type TargetGroupRecord } from "../../contracts/load-balancing.ts";
import type { Operation } from "../../contracts/service.ts";
import { isProblem } from "../../core/problem.ts";
import type { Scope } from "../../core/scope.ts";
import { listenersNotFound, loadBalancerNotFound, rulesNotFound, targetGroupsNotFound, validationError } from "./errors.ts";
import type { Elbv2Ports } from "./ports.ts";

/** What ELBv2's operations are handed. */
export type Elbv2Room = Elbv2Ports;

/** Names an operation's types once. */
export function operation<Input, Output>(made: Operation<Input, Output>): Operation<Input, Output> {
  return made;
}

/** @throws AwsError LoadBalancerNotFound. */
export async function requireLoadBalancer(room: Elbv2Room, scope: Scope, arn: string): Promise<LoadBalancerView> {
  const found = (await room.balancing.loadBalancers(scope)).find(({ record }) => record.arn === arn);
  if (found === undefined) throw loadBalancerNotFound(arn);
  return found;
}

/** @throws AwsError TargetGroupNotFound. */
export async function requireTargetGroup(room: Elbv2Room, scope: Scope, arn: string): Promise<TargetGroupRecord> {
  const found = (await room.balancing.targetGroups(scope)).find((group) => group.arn === arn);
  if (found === undefined) throw targetGroupsNotFound();
  return found;
}

/** @throws AwsError ListenerNotFound. */
export async function requireListener(room: Elbv2Room, scope: Scope, arn: string): Promise<ListenerRecord> {
  const found = (await room.balancing.listeners(scope)).find((listener) => listener.arn === arn);
  if (found === undefined) throw listenersNotFound();
  return found;
}

/** @throws AwsError RuleNotFound. */
export async function requireRule(room: Elbv2Room, scope: Scope, arn: string): Promise<RuleRecord> {
  const found = (await room.balancing.rules(scope)).find((rule) => rule.arn === arn);
  if (found === undefined) throw rulesNotFound();
  return found;
}

/** A listener or a rule: whose it is, and to which groups it forwards. */
export interface Forwarder {
  readonly loadBalancerArn: string;
  readonly groupArns: readonly string[];
}

export async function forwarders({ balancing }: Elbv2Room, scope: Scope): Promise<readonly Forwarder[]> {
  const [listeners, rules] = await Promise.all([balancing.listeners(scope), balancing.rules(scope)]);
  return [...listeners.map(({ loadBalancerArn, defaultAction: action }) => ({ loadBalancerArn, action })), ...rules].map(
    ({ loadBalancerArn, action }) => ({ loadBalancerArn, groupArns: groupsOf(action).map(({ targetGroupArn }) => targetGroupArn) }),
  );
}

/** ARNs of the load balancers that a target group is behind. */
export function loadBalancersOf(group: TargetGroupRecord, all: readonly Forwarder[]): readonly string[] {
  return [...new Set(all.filter(({ groupArns }) => groupArns.includes(group.arn)).map(({ loadBalancerArn }) => loadBalancerArn))];
}

/** Runs `work`; a Problem of that kind becomes the given error. */
export async function translating<T>(work: Promise<T>, kind: "not-found" | "already-exists" | "conflict", error: () => Error): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw isProblem(cause, kind) ? error() : cause;
  }
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly NextMarker?: string;
}

/** ELBv2's way of paging: `PageSize` (default 400) and an opaque `Marker`. @throws AwsError ValidationError for a marker of another list. */
export function pageOf<T extends { readonly arn: string }>(
  all: readonly T[],
  request: { readonly Marker?: string | undefined; readonly PageSize?: number | undefined },
): Page<T> {
  const start = request.Marker === undefined ? 0 : all.findIndex((item) => markerOf(item.arn) === request.Marker) + 1;
  if (request.Marker !== undefined && start === 0) throw validationError("The specified marker is not valid");
  const items = all.slice(start, start + (request.PageSize ?? 400));
  const last = items.at(-1);
  return last === undefined || start + items.length >= all.length ? { items } : { items, NextMarker: markerOf(last.arn) };
}

function markerOf(arn: string): string {
  return Buffer.from(arn).toString("base64url");
}
