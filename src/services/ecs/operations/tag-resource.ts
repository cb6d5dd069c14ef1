import type {
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  TagResourceRequest,
  TagResourceResponse,
  UntagResourceRequest,
  UntagResourceResponse,
} from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import type { Collection, Stored } from "../../../contracts/store.ts";
import { parseArn } from "../../../core/arn.ts";
import { isProblem } from "../../../core/problem.ts";
import { clusterNotFound, invalidParameter, resourceNotFound } from "../errors.ts";
import { checkScope, parseTaskDefinition } from "../names.ts";
import { clusterKey, clusters, serviceKey, services, type TagRecord, taskDefinitionKey, taskDefinitions, taskKey, tasks } from "../records.ts";
import type { Room } from "../room.ts";
import { mergeTags, readTags, withoutTags } from "../tags.ts";

type Tagged = { readonly tags: readonly TagRecord[]; readonly status?: string };

/** @throws ResourceNotFoundException, ClusterNotFoundException, InvalidParameterException */
export function tagResource(room: Room): Operation<TagResourceRequest, TagResourceResponse> {
  return {
    name: "TagResource",
    members: { resourceArn: "used", tags: "used" },
    async handle(input, context) {
      const added = readTags(input.tags);
      await change(room, { context, arn: input.resourceArn ?? "", next: (tags) => mergeTags(tags, added) });
      return {};
    },
  };
}

/** @throws ResourceNotFoundException, ClusterNotFoundException, InvalidParameterException */
export function untagResource(room: Room): Operation<UntagResourceRequest, UntagResourceResponse> {
  return {
    name: "UntagResource",
    members: { resourceArn: "used", tagKeys: "used" },
    async handle(input, context) {
      await change(room, { context, arn: input.resourceArn ?? "", next: (tags) => withoutTags(tags, input.tagKeys ?? []) });
      return {};
    },
  };
}

/** @throws ResourceNotFoundException, ClusterNotFoundException, InvalidParameterException */
export function listTagsForResource(room: Room): Operation<ListTagsForResourceRequest, ListTagsForResourceResponse> {
  return {
    name: "ListTagsForResource",
    members: { resourceArn: "used" },
    async handle(input, context) {
      const { stored } = await find(room, context, input.resourceArn ?? "");
      return { tags: [...stored.value.tags] };
    },
  };
}

interface TagChange {
  readonly context: RequestContext;
  readonly arn: string;
  readonly next: (tags: readonly TagRecord[]) => readonly TagRecord[];
}

async function change(room: Room, { context, arn, next }: TagChange): Promise<void> {
  for (;;) {
    const { collection, stored } = await find(room, context, arn);
    const value = { ...stored.value, tags: next(stored.value.tags) };
    try {
      await room.store.transact([{ op: "update", collection, key: stored.key, value, ifRevision: stored.revision }]);
      return;
    } catch (error) {
      if (!isProblem(error, "conflict")) throw error;
    }
  }
}

interface Found {
  readonly collection: Collection<Tagged>;
  readonly stored: Stored<Tagged>;
}

async function find(room: Room, context: RequestContext, arn: string): Promise<Found> {
  const { collection, key } = locate(context, arn);
  const stored = await room.store.get(collection, key);
  if (stored !== undefined && stored.value.status !== "INACTIVE") return { collection, stored };
  if (collection.name === clusters.name) throw clusterNotFound();
  if (stored !== undefined && collection.name === taskDefinitions.name) return { collection, stored };
  throw resourceNotFound("The specified resource was not found. Verify the ARN and try again.");
}

function locate(context: RequestContext, arn: string): { readonly collection: Collection<Tagged>; readonly key: string } {
  const parsed = parseArn(arn);
  const [type, ...path] = parsed?.resource.split("/") ?? [];
  const [first = "", second = ""] = path;
  const long = path.length === 2;
  if (parsed?.service === "ecs") checkScope(parsed, context);
  if (parsed?.service === "ecs" && type === "cluster" && path.length === 1) return { collection: clusters, key: clusterKey(context, first) };
  if (parsed?.service === "ecs" && type === "service" && long) return { collection: services, key: serviceKey(context, first, second) };
  if (parsed?.service === "ecs" && type === "task" && long) return { collection: tasks, key: taskKey(context, first, second) };
  if (parsed?.service === "ecs" && type === "task-definition") {
    const { family, revision } = parseTaskDefinition(arn, context);
    if (revision !== undefined) return { collection: taskDefinitions, key: taskDefinitionKey(context, family, revision) };
  }
  if (type === "service" || type === "task") throw invalidParameter("Long arn format must be used for tagging operations");
  throw invalidParameter(`Invalid identifier: ${arn}`);
}
