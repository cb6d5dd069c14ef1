import type {
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  ListTagsLogGroupRequest,
  ListTagsLogGroupResponse,
  TagLogGroupRequest,
  TagResourceRequest,
  UntagLogGroupRequest,
  UntagResourceRequest,
} from "@aws-sdk/client-cloudwatch-logs";
import type { LogScope } from "../../../contracts/log-store.ts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { groupNotFound } from "../errors.ts";
import { groupOfArn } from "../names.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";

type Tags = Readonly<Record<string, string>>;

const MAX_TAGS = 50;

async function tagsOf(room: LogsRoom, scope: LogScope): Promise<Tags> {
  const group = await room.logStore.getGroup(scope);
  if (group === undefined) throw groupNotFound();
  return group.tags;
}

function addTags(room: LogsRoom, scope: LogScope, added: Tags): Promise<object> {
  return room.oneByOne(async () => {
    const tags = { ...(await tagsOf(room, scope)), ...added };
    if (Object.keys(tags).length > MAX_TAGS) {
      throw new AwsError("TooManyTagsException", `A resource can have no more than ${MAX_TAGS} tags.`, { fields: { resourceName: scope.group } });
    }
    await room.logStore.updateGroup(scope, { tags });
    return {};
  });
}

function removeTags(room: LogsRoom, scope: LogScope, keys: readonly string[]): Promise<object> {
  return room.oneByOne(async () => {
    const left = Object.entries(await tagsOf(room, scope)).filter(([key]) => !keys.includes(key));
    await room.logStore.updateGroup(scope, { tags: Object.fromEntries(left) });
    return {};
  });
}

/** Tags of log groups only: there are no other taggable resources here. @throws ResourceNotFoundException, TooManyTagsException. */
export function tagResource(room: LogsRoom): Operation<TagResourceRequest, object> {
  return operation(room, {
    name: "TagResource",
    members: { resourceArn: "used", tags: "used" },
    handle: async ({ resourceArn = "", tags = {} }, context) => addTags(room, groupScope(context, groupOfArn(context, resourceArn)), tags),
  });
}

/** Keys that it does not have are no error. @throws ResourceNotFoundException. */
export function untagResource(room: LogsRoom): Operation<UntagResourceRequest, object> {
  return operation(room, {
    name: "UntagResource",
    members: { resourceArn: "used", tagKeys: "used" },
    handle: async ({ resourceArn = "", tagKeys = [] }, context) => removeTags(room, groupScope(context, groupOfArn(context, resourceArn)), tagKeys),
  });
}

/** @throws ResourceNotFoundException. */
export function listTagsForResource(room: LogsRoom): Operation<ListTagsForResourceRequest, ListTagsForResourceResponse> {
  return operation(room, {
    name: "ListTagsForResource",
    members: { resourceArn: "used" },
    handle: async ({ resourceArn = "" }, context) => ({ tags: { ...(await tagsOf(room, groupScope(context, groupOfArn(context, resourceArn)))) } }),
  });
}

/** The older form of TagResource, by name. */
export function tagLogGroup(room: LogsRoom): Operation<TagLogGroupRequest, object> {
  return operation(room, {
    name: "TagLogGroup",
    members: { logGroupName: "used", tags: "used" },
    handle: async ({ logGroupName = "", tags = {} }, context) => addTags(room, groupScope(context, logGroupName), tags),
  });
}

/** The older form of UntagResource, by name. */
export function untagLogGroup(room: LogsRoom): Operation<UntagLogGroupRequest, object> {
  return operation(room, {
    name: "UntagLogGroup",
    members: { logGroupName: "used", tags: "used" },
    handle: async ({ logGroupName = "", tags = [] }, context) => removeTags(room, groupScope(context, logGroupName), tags),
  });
}

/** The older form of ListTagsForResource, by name. */
export function listTagsLogGroup(room: LogsRoom): Operation<ListTagsLogGroupRequest, ListTagsLogGroupResponse> {
  return operation(room, {
    name: "ListTagsLogGroup",
    members: { logGroupName: "used" },
    handle: async ({ logGroupName = "" }, context) => ({ tags: { ...(await tagsOf(room, groupScope(context, logGroupName))) } }),
  });
}
