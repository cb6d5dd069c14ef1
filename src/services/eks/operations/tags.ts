import type {
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  TagResourceRequest,
  TagResourceResponse,
  UntagResourceRequest,
  UntagResourceResponse,
} from "@aws-sdk/client-eks";
import type { Stored } from "../../../contracts/store.ts";
import type { Scope } from "../../../core/scope.ts";
import { tagBadRequest, taggedNotFound } from "../errors.ts";
import { parseClusterArn } from "../names.ts";
import { clusterKey, CLUSTERS, type ClusterRecord } from "../records.ts";
import { changeRecord, type EksRoom, operation } from "../room.ts";
import { faultOfTags } from "../tags.ts";

/** @throws BadRequestException, NotFoundException */
async function requireTagged(room: EksRoom, scope: Scope, arn: string): Promise<Stored<ClusterRecord>> {
  const named = parseClusterArn(arn);
  if (named === undefined) throw tagBadRequest(`The resource ARN '${arn}' is not valid: only clusters can be tagged`);
  if (named.account !== scope.account || named.region !== scope.region) throw taggedNotFound(arn);
  const found = await room.store.get(CLUSTERS, clusterKey(scope, named.name));
  if (found === undefined) throw taggedNotFound(arn);
  return found;
}

export function tagResource(room: EksRoom) {
  return operation<TagResourceRequest, TagResourceResponse>({
    name: "TagResource",
    members: { resourceArn: "used", tags: "used" },
    async handle({ resourceArn = "", tags: added = {} }, context) {
      await changeRecord(room, CLUSTERS, {
        find: () => requireTagged(room, context, resourceArn),
        change: (cluster) => {
          const tags = { ...cluster.tags, ...added };
          const fault = faultOfTags(tags);
          if (fault !== undefined) throw tagBadRequest(fault);
          return { ...cluster, tags };
        },
      });
      return {};
    },
  });
}

export function untagResource(room: EksRoom) {
  return operation<UntagResourceRequest, UntagResourceResponse>({
    name: "UntagResource",
    members: { resourceArn: "used", tagKeys: "used" },
    async handle({ resourceArn = "", tagKeys = [] }, context) {
      await changeRecord(room, CLUSTERS, {
        find: () => requireTagged(room, context, resourceArn),
        change: (cluster) => ({ ...cluster, tags: Object.fromEntries(Object.entries(cluster.tags).filter(([key]) => !tagKeys.includes(key))) }),
      });
      return {};
    },
  });
}

export function listTagsForResource(room: EksRoom) {
  return operation<ListTagsForResourceRequest, ListTagsForResourceResponse>({
    name: "ListTagsForResource",
    members: { resourceArn: "used" },
    async handle({ resourceArn = "" }, context) {
      return { tags: { ...(await requireTagged(room, context, resourceArn)).value.tags } };
    },
  });
}
