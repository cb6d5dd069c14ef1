import type { AddTagsInput, DescribeTagsInput, DescribeTagsOutput, RemoveTagsInput } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Tags } from "../../../contracts/load-balancing.ts";
import type { Operation } from "../../../contracts/service.ts";
import type { Scope } from "../../../core/scope.ts";
import { invalidArn } from "../errors.ts";
import { operation, requireListener, requireLoadBalancer, requireRule, requireTargetGroup, type Elbv2Room } from "../room.ts";
import { tagList, withoutTags, withTags } from "../tags.ts";

// eslint-disable-next-line typescript/no-explicit-any -- each operation has its own input
export function tagOperations(room: Elbv2Room): readonly Operation<any, any>[] {
  return [addTags(room), removeTags(room), describeTags(room)];
}

/** What has tags, whatever its kind. */
interface Tagged {
  tags(): Promise<Tags>;
  change(change: (before: Tags) => Tags): Promise<unknown>;
}

function taggedOf({ balancing, ...room }: Elbv2Room, scope: Scope, arn: string): Tagged {
  const all = { balancing, ...room };
  const replace =
    (change: (before: Tags) => Tags) =>
    <T extends { readonly tags: Tags }>(record: T): T => ({ ...record, tags: change(record.tags) });
  if (/:loadbalancer\/(?:app|net)\//.test(arn)) {
    return {
      tags: async () => (await requireLoadBalancer(all, scope, arn)).record.tags,
      change: (change) => balancing.updateLoadBalancer(arn, replace(change)),
    };
  }
  if (/:targetgroup\//.test(arn)) {
    return {
      tags: async () => (await requireTargetGroup(all, scope, arn)).tags,
      change: (change) => balancing.updateTargetGroup(arn, replace(change)),
    };
  }
  if (/:listener\/(?:app|net)\//.test(arn)) {
    return { tags: async () => (await requireListener(all, scope, arn)).tags, change: (change) => balancing.updateListener(arn, replace(change)) };
  }
  if (/:listener-rule\/app\//.test(arn)) {
    return { tags: async () => (await requireRule(all, scope, arn)).tags, change: (change) => balancing.updateRule(arn, replace(change)) };
  }
  throw invalidArn(arn);
}

function addTags(room: Elbv2Room) {
  return operation<AddTagsInput, object>({
    name: "AddTags",
    members: { ResourceArns: "used", Tags: "used" },
    async handle({ ResourceArns: arns = [], Tags: added = [] }, context) {
      await changeAll(room, context, arns, (before) => withTags(before, added));
      return {};
    },
  });
}

function removeTags(room: Elbv2Room) {
  return operation<RemoveTagsInput, object>({
    name: "RemoveTags",
    members: { ResourceArns: "used", TagKeys: "used" },
    async handle({ ResourceArns: arns = [], TagKeys: keys = [] }, context) {
      await changeAll(room, context, arns, (before) => withoutTags(before, keys));
      return {};
    },
  });
}

/** Looks at all before it changes any. */
async function changeAll(room: Elbv2Room, scope: Scope, arns: readonly string[], change: (before: Tags) => Tags): Promise<void> {
  const found = arns.map((arn) => taggedOf(room, scope, arn));
  for (const resource of found) change(await resource.tags());
  for (const resource of found) await resource.change(change);
}

function describeTags(room: Elbv2Room) {
  return operation<DescribeTagsInput, DescribeTagsOutput>({
    name: "DescribeTags",
    members: { ResourceArns: "used" },
    async handle({ ResourceArns: arns = [] }, context) {
      const read = async (arn: string) => ({ ResourceArn: arn, Tags: tagList(await taggedOf(room, context, arn).tags()) });
      return { TagDescriptions: await Promise.all(arns.map(read)) };
    },
  });
}
