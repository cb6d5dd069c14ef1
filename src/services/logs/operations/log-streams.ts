import type {
  CreateLogStreamRequest,
  DeleteLogStreamRequest,
  DescribeLogStreamsRequest,
  DescribeLogStreamsResponse,
} from "@aws-sdk/client-cloudwatch-logs";
import type { LogStreamRecord } from "../../../contracts/log-store.ts";
import type { Operation } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { invalid, streamExists } from "../errors.ts";
import { requestedGroup } from "../names.ts";
import { compareNames, pageOf } from "../paging.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";
import { streamView } from "../views.ts";

/** @throws ResourceAlreadyExistsException, ResourceNotFoundException (group). */
export function createLogStream(room: LogsRoom): Operation<CreateLogStreamRequest, object> {
  return operation(room, {
    name: "CreateLogStream",
    members: { logGroupName: "used", logStreamName: "used" },
    async handle({ logGroupName = "", logStreamName = "" }, context) {
      await room.logStore.createStream(groupScope(context, logGroupName), logStreamName).catch((error: unknown) => {
        throw isProblem(error, "already-exists") ? streamExists() : error;
      });
      return {};
    },
  });
}

/** Takes its events along. @throws ResourceNotFoundException (group or stream). */
export function deleteLogStream(room: LogsRoom): Operation<DeleteLogStreamRequest, object> {
  return operation(room, {
    name: "DeleteLogStream",
    members: { logGroupName: "used", logStreamName: "used" },
    async handle({ logGroupName = "", logStreamName = "" }, context) {
      await room.logStore.deleteStream(groupScope(context, logGroupName), logStreamName);
      return {};
    },
  });
}

/**
 * By name, or by the time of the last event (a stream without events counts as of its creation); 50 to a page unless `limit` says less.
 * @throws InvalidParameterException (a prefix together with LastEventTime), ResourceNotFoundException (group).
 */
export function describeLogStreams(room: LogsRoom): Operation<DescribeLogStreamsRequest, DescribeLogStreamsResponse> {
  return operation(room, {
    name: "DescribeLogStreams",
    members: {
      logGroupName: "used",
      logGroupIdentifier: "used",
      logStreamNamePrefix: "used",
      orderBy: "used",
      descending: "used",
      nextToken: "used",
      limit: "used",
    },
    async handle(input, context) {
      const { logStreamNamePrefix: prefix, orderBy = "LogStreamName", descending = false } = input;
      if (prefix !== undefined && orderBy === "LastEventTime") throw invalid("Cannot order by LastEventTime with a logStreamNamePrefix.");
      const group = requestedGroup(context, input);
      const streams = await room.logStore.listStreams(groupScope(context, group), { prefix });
      const placeOf = orderBy === "LastEventTime" ? placeByTime : placeByName;
      const sign = descending ? -1 : 1;
      const compare = (a: Place, b: Place): number => sign * (a[0] - b[0] || compareNames(a[1], b[1]));
      const ordered = streams.toSorted((a, b) => compare(placeOf(a), placeOf(b)));
      const page = pageOf(ordered, { limit: input.limit ?? 50, token: input.nextToken, placeOf, compare });
      const logStreams = page.items.map((stream) => streamView(context, group, stream, room.toolbox.ids.digits(56)));
      return { logStreams, nextToken: page.nextToken };
    },
  });
}

type Place = readonly [timeMs: number, name: string];
const placeByName = (stream: LogStreamRecord): Place => [0, stream.name];
const placeByTime = (stream: LogStreamRecord): Place => [stream.lastEventMs ?? stream.createdAtMs, stream.name];
