import type {
  DescribeTaskDefinitionRequest,
  DescribeTaskDefinitionResponse,
  ListTaskDefinitionFamiliesRequest,
  ListTaskDefinitionFamiliesResponse,
  ListTaskDefinitionsRequest,
  ListTaskDefinitionsResponse,
} from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { scopePrefix } from "../../../core/scope.ts";
import { findTaskDefinition } from "../lookups.ts";
import { taskDefinitionArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import { families, taskDefinitionKey, taskDefinitions } from "../records.ts";
import type { Room } from "../room.ts";
import { taskDefinitionView } from "../task-definition-view.ts";

/** @throws ClientException "Unable to describe task definition." */
export function describeTaskDefinition(room: Room): Operation<DescribeTaskDefinitionRequest, DescribeTaskDefinitionResponse> {
  return {
    name: "DescribeTaskDefinition",
    members: { taskDefinition: "used", include: "used" },
    async handle(input, context) {
      const { value } = await findTaskDefinition(room, context, input.taskDefinition ?? "");
      return { taskDefinition: taskDefinitionView(value), ...(input.include?.includes("TAGS") === true ? { tags: [...value.tags] } : {}) };
    },
  };
}

/** ARNs by family, then revision. `familyPrefix` is a whole family name, as on AWS. */
export function listTaskDefinitions(room: Room): Operation<ListTaskDefinitionsRequest, ListTaskDefinitionsResponse> {
  return {
    name: "ListTaskDefinitions",
    members: { familyPrefix: "used", status: "used", sort: "used", nextToken: "used", maxResults: "used" },
    async handle(input, context) {
      const status = input.status ?? "ACTIVE";
      const prefix = scopePrefix(context) + (input.familyPrefix ? `${input.familyPrefix}/` : "");
      const found = (await room.store.list(taskDefinitions, { prefix })).map((stored) => stored.value).filter((record) => record.status === status);
      // A space sorts before all that a name may hold: a family before those it is the beginning of.
      const idOf = (record: (typeof found)[number]): string => taskDefinitionKey(context, `${record.family} `, record.revision);
      found.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
      const descending = input.sort === "DESC";
      const page = pageOf(descending ? found.reverse() : found, input, { idOf, defaultSize: 100, descending });
      return {
        taskDefinitionArns: page.items.map((record) => taskDefinitionArn(record, record.family, record.revision)),
        ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
      };
    },
  };
}

/** Families with an ACTIVE revision, those without, or all that were ever registered. */
export function listTaskDefinitionFamilies(room: Room): Operation<ListTaskDefinitionFamiliesRequest, ListTaskDefinitionFamiliesResponse> {
  return {
    name: "ListTaskDefinitionFamilies",
    members: { familyPrefix: "used", status: "used", nextToken: "used", maxResults: "used" },
    async handle(input, context) {
      const prefix = scopePrefix(context) + (input.familyPrefix ?? "");
      const all = (await room.store.list(families, { prefix })).map((stored) => stored.value.family);
      const active = new Set(
        (await room.store.list(taskDefinitions, { prefix })).flatMap(({ value }) => (value.status === "ACTIVE" ? [value.family] : [])),
      );
      const status = input.status ?? "ALL";
      const shown = all.filter((family) => status === "ALL" || active.has(family) === (status === "ACTIVE")).sort();
      const page = pageOf(shown, input, { idOf: (family) => family, defaultSize: 100 });
      return { families: [...page.items], ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) };
    },
  };
}
