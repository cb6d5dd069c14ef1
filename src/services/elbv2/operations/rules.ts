import type {
  CreateRuleInput,
  CreateRuleOutput,
  DeleteRuleInput,
  DescribeRulesInput,
  DescribeRulesOutput,
  ModifyRuleInput,
  ModifyRuleOutput,
  Rule,
  SetRulePrioritiesInput,
  SetRulePrioritiesOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { ListenerRecord, RuleRecord } from "../../../contracts/load-balancing.ts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import type { Scope } from "../../../core/scope.ts";
import { actionMembers } from "../actions.ts";
import { CONDITION_MEMBERS, readConditions } from "../conditions.ts";
import { invalidConfiguration, listenersNotFound, rulesNotFound, validationError } from "../errors.ts";
import { resolveAction } from "../resolve-action.ts";
import { operation, pageOf, requireListener, requireLoadBalancer, requireRule, translating, type Elbv2Room } from "../room.ts";
import { withTags } from "../tags.ts";
import { defaultRuleArn, defaultRuleView, ruleView } from "../views.ts";

/** Of a load balancer, without the default ones. */
const MAX_RULES = 100;
const MAX_PRIORITY = 50_000;

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function ruleOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [createRule(room), describeRules(room), modifyRule(room), deleteRule(room), setRulePriorities(room)];
}

function createRule(room: Elbv2Room) {
  return operation<CreateRuleInput, CreateRuleOutput>({
    name: "CreateRule",
    members: { ListenerArn: "used", Priority: "used", Tags: "used", ...CONDITION_MEMBERS, ...actionMembers("Actions") },
    async handle(input, context) {
      const { ListenerArn: listenerArn = "", Priority: priority = 0, Actions: actions = [] } = input;
      const { loadBalancerArn, protocol } = await requireListener(room, context, listenerArn);
      if (protocol === "TCP") throw invalidConfiguration("Rules are not supported with a Network Load Balancer");
      checkPriority(priority);
      const conditions = readConditions(input.Conditions ?? []);
      const { record: balancer } = await requireLoadBalancer(room, context, loadBalancerArn);
      const action = await resolveAction(room, context, { actions, balancer, protocol });
      const known = (await room.balancing.rules(context)).filter((rule) => rule.loadBalancerArn === loadBalancerArn);
      if (known.length >= MAX_RULES)
        throw new AwsError("TooManyRules", `The maximum number of rules on load balancer '${balancer.arn}' is ${MAX_RULES}`);
      const spec = { listenerArn, priority, conditions, action, tags: withTags({}, input.Tags) };
      const creation = translating(room.balancing.createRule(spec), "already-exists", () => priorityInUse(priority));
      return { Rules: [ruleView(await translating(creation, "not-found", listenersNotFound))] };
    },
  });
}

function checkPriority(priority: number): void {
  if (priority < 1 || priority > MAX_PRIORITY) throw validationError(`Priority '${priority}' must be between 1 and ${MAX_PRIORITY}`);
}

function priorityInUse(priority: number): AwsError {
  return new AwsError("PriorityInUse", `Priority '${priority}' is currently in use`);
}

function describeRules(room: Elbv2Room) {
  return operation<DescribeRulesInput, DescribeRulesOutput>({
    name: "DescribeRules",
    members: { ListenerArn: "used", RuleArns: "used", Marker: "used", PageSize: "used" },
    async handle(input, context) {
      const { ListenerArn: arn, RuleArns: arns = [] } = input;
      if (arn === undefined && arns.length === 0) throw validationError("You must specify either a listener ARN or rule ARNs");
      if (arn !== undefined && arns.length > 0) throw validationError("Rule ARNs and a listener ARN cannot be specified at the same time");
      const listeners = arn === undefined ? await room.balancing.listeners(context) : [await requireListener(room, context, arn)];
      const all = rulesOf(listeners, await room.balancing.rules(context));
      const wanted = all.filter((rule) => arns.length === 0 || arns.includes(rule.arn));
      if (wanted.length < arns.length) throw rulesNotFound();
      const { items, NextMarker } = pageOf(wanted, input);
      return { Rules: items.map(({ view }) => view), NextMarker };
    },
  });
}

/** With the default rules, each after the others of its listener. */
function rulesOf(listeners: readonly ListenerRecord[], rules: readonly RuleRecord[]): readonly { readonly arn: string; readonly view: Rule }[] {
  return listeners.flatMap((listener) => [
    ...rules
      .filter(({ listenerArn }) => listenerArn === listener.arn)
      .sort((a, b) => a.priority - b.priority)
      .map((rule) => ({ arn: rule.arn, view: ruleView(rule) })),
    { arn: defaultRuleArn(listener), view: defaultRuleView(listener) },
  ]);
}

function modifyRule(room: Elbv2Room) {
  return operation<ModifyRuleInput, ModifyRuleOutput>({
    name: "ModifyRule",
    members: { RuleArn: "used", ...CONDITION_MEMBERS, ...actionMembers("Actions") },
    async handle({ RuleArn: arn = "", Conditions: inputs, Actions: actions }, context) {
      await refuseDefault(room, context, { arn, what: "modified" });
      const { loadBalancerArn } = await requireRule(room, context, arn);
      const conditions = inputs === undefined ? undefined : readConditions(inputs);
      const { record: balancer } = await requireLoadBalancer(room, context, loadBalancerArn);
      const action = actions === undefined ? undefined : await resolveAction(room, context, { actions, balancer, protocol: "HTTP" });
      const changed = room.balancing.updateRule(arn, (before) => {
        return { ...before, conditions: conditions ?? before.conditions, action: action ?? before.action };
      });
      return { Rules: [ruleView(await translating(changed, "not-found", rulesNotFound))] };
    },
  });
}

function deleteRule(room: Elbv2Room) {
  return operation<DeleteRuleInput, object>({
    name: "DeleteRule",
    members: { RuleArn: "used" },
    async handle({ RuleArn: arn = "" }, context) {
      await refuseDefault(room, context, { arn, what: "deleted" });
      await requireRule(room, context, arn);
      await room.balancing.deleteRule(arn);
      return {};
    },
  });
}

async function refuseDefault(room: Elbv2Room, scope: Scope, { arn, what }: { readonly arn: string; readonly what: string }): Promise<void> {
  const isDefault = (await room.balancing.listeners(scope)).some((listener) => defaultRuleArn(listener) === arn);
  if (isDefault) throw new AwsError("OperationNotPermitted", `Default rule '${arn}' cannot be ${what}`);
}

function setRulePriorities(room: Elbv2Room) {
  return operation<SetRulePrioritiesInput, SetRulePrioritiesOutput>({
    name: "SetRulePriorities",
    members: { "RulePriorities.RuleArn": "used", "RulePriorities.Priority": "used" },
    async handle({ RulePriorities: pairs = [] }, context) {
      const wanted = new Map(pairs.map(({ RuleArn: arn = "", Priority: priority = 0 }) => [arn, priority]));
      const known = await room.balancing.rules(context);
      const listeners = new Set<string>();
      for (const [arn, priority] of wanted) {
        await refuseDefault(room, context, { arn, what: "re-prioritized" });
        checkPriority(priority);
        const rule = known.find((each) => each.arn === arn);
        if (rule === undefined) throw rulesNotFound();
        listeners.add(rule.listenerArn);
      }
      if (listeners.size > 1) throw validationError("All rules must belong to the same listener");
      const numbers = [...wanted.values()];
      const twice = numbers.find((priority, index) => numbers.indexOf(priority) !== index);
      if (twice !== undefined) throw validationError(`Priority '${twice}' was given to more than one rule`);
      const held = known.find((rule) => listeners.has(rule.listenerArn) && !wanted.has(rule.arn) && numbers.includes(rule.priority));
      if (held !== undefined) throw priorityInUse(held.priority);
      const change = translating(room.balancing.setRulePriorities(wanted), "already-exists", () => priorityInUse(numbers[0] ?? 0));
      return { Rules: (await translating(change, "not-found", rulesNotFound)).map(ruleView) };
    },
  });
}
