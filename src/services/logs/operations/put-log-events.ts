import type { InputLogEvent, PutLogEventsRequest, PutLogEventsResponse, RejectedLogEventsInfo } from "@aws-sdk/client-cloudwatch-logs";
import type { Operation } from "../../../contracts/service.ts";
import { invalid } from "../errors.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_BATCH_BYTES = 1_048_576;
const EVENT_OVERHEAD_BYTES = 26;
const TOO_NEW_MS = 2 * HOUR_MS;
const TOO_OLD_MS = 14 * DAY_MS;

/**
 * Durable when it answers. Events that are too new (2 h ahead), too old (14 days) or expired (the group's retention) are left out and told
 * of in `rejectedLogEventsInfo`; the rest is kept. Sequence tokens are taken and given but mean nothing, as on AWS since 2023.
 * @throws InvalidParameterException (order, span over 24 h, size), ResourceNotFoundException.
 * @see https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
 */
export function putLogEvents(room: LogsRoom): Operation<PutLogEventsRequest, PutLogEventsResponse> {
  return operation(room, {
    name: "PutLogEvents",
    members: {
      logGroupName: "used",
      logStreamName: "used",
      logEvents: "used",
      sequenceToken: { ignored: "AWS ignores it too" },
      entity: { ignored: "names what the events belong to for CloudWatch's own explorer, which is not here" },
    },
    async handle({ logGroupName = "", logStreamName = "", logEvents = [] }, context) {
      checkBatch(logEvents);
      const scope = groupScope(context, logGroupName);
      const group = await room.logStore.getGroup(scope);
      const rejected = rejectedRanges(logEvents, context.nowMs, group?.retentionDays);
      const first = Math.max(rejected?.tooOldLogEventEndIndex ?? 0, rejected?.expiredLogEventEndIndex ?? 0);
      const kept = logEvents.slice(first, rejected?.tooNewLogEventStartIndex);
      const events = kept.map(({ timestamp = 0, message = "" }) => ({ timestampMs: timestamp, message }));
      // An empty batch too, to learn whether the stream exists.
      await room.logStore.append(scope, { stream: logStreamName, events });
      return { nextSequenceToken: room.toolbox.ids.digits(56), rejectedLogEventsInfo: rejected };
    },
  });
}

function checkBatch(events: readonly InputLogEvent[]): void {
  let sizeBytes = 0;
  let lastMs = 0;
  for (const { timestamp = 0, message = "" } of events) {
    if (timestamp < lastMs) throw invalid("Log events in a single PutLogEvents request must be in chronological order.");
    lastMs = timestamp;
    sizeBytes += Buffer.byteLength(message) + EVENT_OVERHEAD_BYTES;
  }
  if (sizeBytes > MAX_BATCH_BYTES) throw invalid(`Upload too large: ${sizeBytes} bytes exceeds limit of ${MAX_BATCH_BYTES}`);
  if (lastMs - (events[0]?.timestamp ?? 0) > DAY_MS) {
    throw invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
  }
}

/** The events are in order of time, so each range is one index. End indexes are exclusive. */
function rejectedRanges(events: readonly InputLogEvent[], nowMs: number, retentionDays: number | undefined): RejectedLogEventsInfo | undefined {
  const countBefore = (limitMs: number): number => events.filter(({ timestamp = 0 }) => timestamp < limitMs).length;
  const tooOld = countBefore(nowMs - TOO_OLD_MS);
  const expired = retentionDays === undefined ? 0 : countBefore(nowMs - retentionDays * DAY_MS);
  const tooNew = countBefore(nowMs + TOO_NEW_MS + 1);
  if (tooOld === 0 && expired === 0 && tooNew === events.length) return undefined;
  return {
    tooOldLogEventEndIndex: tooOld === 0 ? undefined : tooOld,
    expiredLogEventEndIndex: expired === 0 ? undefined : expired,
    tooNewLogEventStartIndex: tooNew === events.length ? undefined : tooNew,
  };
}
