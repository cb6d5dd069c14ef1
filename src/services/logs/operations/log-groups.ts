import type {
  CreateLogGroupRequest,
  DeleteLogGroupRequest,
  DescribeLogGroupsRequest,
  DescribeLogGroupsResponse,
} from "@aws-sdk/client-cloudwatch-logs";
import type { LogGroupRecord } from "../../../contracts/log-store.ts";
import type { Operation } from "../../../contracts/service.ts";
import type { Scope } from "../../../core/scope.ts";
import { groupNotFound, invalid } from "../errors.ts";
import { groupOfIdentifier } from "../names.ts";
import { compareNames, pageOf } from "../paging.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";
import { groupView } from "../views.ts";

/** @throws ResourceAlreadyExistsException. */
export function createLogGroup(room: LogsRoom): Operation<CreateLogGroupRequest, object> {
  return operation(room, {
    name: "CreateLogGroup",
    members: {
      logGroupName: "used",
      tags: "used",
      kmsKeyId: { refused: "log groups are not encrypted with KMS keys here" },
      logGroupClass: { refused: "only the STANDARD class is kept", unless: ["STANDARD"] },
      deletionProtectionEnabled: { refused: "deletion protection is not supported", unless: [false] },
    },
    async handle({ logGroupName = "", tags = {} }, context) {
      await room.logStore.createGroup(groupScope(context, logGroupName), { tags });
      return {};
    },
  });
}

/** Takes its streams and events along. @throws ResourceNotFoundException. */
export function deleteLogGroup(room: LogsRoom): Operation<DeleteLogGroupRequest, object> {
  return operation(room, {
    name: "DeleteLogGroup",
    members: { logGroupName: "used" },
    async handle({ logGroupName = "" }, context) {
      await room.logStore.deleteGroup(groupScope(context, logGroupName));
      return {};
    },
  });
}

/** In name order, 50 to a page unless `limit` says less. */
export function describeLogGroups(room: LogsRoom): Operation<DescribeLogGroupsRequest, DescribeLogGroupsResponse> {
  return operation(room, {
    name: "DescribeLogGroups",
    members: {
      logGroupNamePrefix: "used",
      logGroupNamePattern: "used",
      logGroupIdentifiers: "used",
      logGroupClass: "used",
      nextToken: "used",
      limit: "used",
      accountIdentifiers: { refused: "cross-account observability is not supported" },
      includeLinkedAccounts: { refused: "cross-account observability is not supported", unless: [false] },
    },
    async handle(input, context) {
      const groups = await matchingGroups(room, context, input);
      const options = { limit: input.limit ?? 50, token: input.nextToken, placeOf: (group: LogGroupRecord) => group.name, compare: compareNames };
      const page = pageOf(groups, options);
      return { logGroups: page.items.map((group) => groupView(context, group)), nextToken: page.nextToken };
    },
  });
}

async function matchingGroups(room: LogsRoom, scope: Scope, input: DescribeLogGroupsRequest): Promise<readonly LogGroupRecord[]> {
  const { logGroupNamePrefix: prefix = "", logGroupNamePattern: pattern = "", logGroupIdentifiers, logGroupClass = "STANDARD" } = input;
  if (prefix !== "" && pattern !== "") throw invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  if (logGroupIdentifiers !== undefined) {
    if (prefix !== "" || pattern !== "") throw invalid("logGroupIdentifiers cannot be combined with a log group name prefix or pattern.");
    const names = new Set(logGroupIdentifiers.map((identifier) => groupOfIdentifier(scope, identifier)));
    const found = (await room.logStore.listGroups(groupScope(scope, ""))).filter((group) => names.has(group.name));
    if (found.length < names.size) throw groupNotFound();
    return found;
  }
  if (logGroupClass !== "STANDARD") return [];
  return (await room.logStore.listGroups(groupScope(scope, prefix))).filter((group) => group.name.includes(pattern));
}
