import type { FilteredLogEvent, LogGroup, LogStream, OutputLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import type { LogEvent, LogGroupRecord, LogStreamRecord } from "../../contracts/log-store.ts";
import type { Scope } from "../../core/scope.ts";
import { groupArn } from "./names.ts";

export function groupView(scope: Scope, group: LogGroupRecord): LogGroup {
  const arn = groupArn(scope, group.name);
  return {
    logGroupName: group.name,
    creationTime: group.createdAtMs,
    retentionInDays: group.retentionDays,
    metricFilterCount: 0,
    arn: `${arn}:*`,
    storedBytes: group.storedBytes,
    logGroupClass: "STANDARD",
    logGroupArn: arn,
  };
}

/** `storedBytes` of a stream is 0, as CloudWatch has reported it since 2019. */
export function streamView(scope: Scope, group: string, stream: LogStreamRecord, sequenceToken: string): LogStream {
  return {
    logStreamName: stream.name,
    creationTime: stream.createdAtMs,
    firstEventTimestamp: stream.firstEventMs,
    lastEventTimestamp: stream.lastEventMs,
    lastIngestionTime: stream.lastIngestionMs,
    uploadSequenceToken: sequenceToken,
    arn: `${groupArn(scope, group)}:log-stream:${stream.name}`,
    storedBytes: 0,
  };
}

export function eventView(event: LogEvent): OutputLogEvent {
  return { timestamp: event.timestampMs, message: event.message, ingestionTime: event.ingestionMs };
}

export function filteredEventView(event: LogEvent & { readonly stream: string }): FilteredLogEvent {
  return { logStreamName: event.stream, ...eventView(event), eventId: event.eventId };
}
