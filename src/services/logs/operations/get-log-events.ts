import type { GetLogEventsRequest, GetLogEventsResponse } from "@aws-sdk/client-cloudwatch-logs";
import type { Operation } from "../../../contracts/service.ts";
import { requestedGroup } from "../names.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";
import { eventView } from "../views.ts";

/**
 * One stream's events, oldest first on each page, at most `limit` (10,000) and about 1 MiB. `startTime` is inclusive, `endTime` exclusive.
 * At either end the token that led there is answered again. @throws ResourceNotFoundException, InvalidParameterException (token).
 */
export function getLogEvents(room: LogsRoom): Operation<GetLogEventsRequest, GetLogEventsResponse> {
  return operation(room, {
    name: "GetLogEvents",
    members: {
      logGroupName: "used",
      logGroupIdentifier: "used",
      logStreamName: "used",
      startTime: "used",
      endTime: "used",
      nextToken: "used",
      limit: "used",
      startFromHead: "used",
      unmask: { ignored: "nothing is masked: data protection policies are not built" },
    },
    async handle(input, context) {
      const scope = groupScope(context, requestedGroup(context, input));
      const page = await room.logStore.read(scope, input.logStreamName ?? "", {
        startMs: input.startTime,
        endMs: input.endTime,
        limit: input.limit ?? 10_000,
        token: input.nextToken,
        fromHead: input.startFromHead ?? false,
      });
      return { events: page.events.map(eventView), nextForwardToken: page.forwardToken, nextBackwardToken: page.backwardToken };
    },
  });
}
