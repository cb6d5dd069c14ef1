import type { FilterLogEventsRequest, FilterLogEventsResponse } from "@aws-sdk/client-cloudwatch-logs";
import type { Operation } from "../../../contracts/service.ts";
import { invalid } from "../errors.ts";
import { requestedGroup } from "../names.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";
import { filteredEventView } from "../views.ts";

/**
 * Events of a group's streams in order of time, at most `limit` (10,000) and about 1 MiB a page; a page may be empty and still have a next
 * one when the pattern is rare. `startTime` and `endTime` are both inclusive.
 * Differs: space-delimited patterns `[a, b=1*]` and regular expressions `%…%` are refused.
 * @throws ResourceNotFoundException, InvalidParameterException (pattern, token, streams named two ways).
 */
export function filterLogEvents(room: LogsRoom): Operation<FilterLogEventsRequest, FilterLogEventsResponse> {
  return operation(room, {
    name: "FilterLogEvents",
    members: {
      logGroupName: "used",
      logGroupIdentifier: "used",
      logStreamNames: "used",
      logStreamNamePrefix: "used",
      startTime: "used",
      endTime: "used",
      filterPattern: "used",
      nextToken: "used",
      limit: "used",
      interleaved: { ignored: "events are always interleaved, as on AWS since 2019" },
      unmask: { ignored: "nothing is masked: data protection policies are not built" },
    },
    async handle(input, context) {
      const { logStreamNames, logStreamNamePrefix, startTime, endTime } = input;
      if (logStreamNames !== undefined && logStreamNamePrefix !== undefined) {
        throw invalid("You can specify either logStreamNames or logStreamNamePrefix, but not both.");
      }
      const page = await room.logStore.filter(groupScope(context, requestedGroup(context, input)), {
        streams: logStreamNames,
        streamPrefix: logStreamNamePrefix,
        startMs: startTime,
        endMs: endTime === undefined ? undefined : endTime + 1,
        pattern: input.filterPattern,
        limit: input.limit ?? 10_000,
        token: input.nextToken,
      });
      return { events: page.events.map(filteredEventView), searchedLogStreams: [], nextToken: page.nextToken };
    },
  });
}
