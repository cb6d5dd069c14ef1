import type { LogStore } from "../../contracts/log-store.ts";
import type { Service, Toolbox } from "../../contracts/service.ts";
import { filterLogEvents } from "./operations/filter-log-events.ts";
import { getLogEvents } from "./operations/get-log-events.ts";
import { createLogGroup, deleteLogGroup, describeLogGroups } from "./operations/log-groups.ts";
import { createLogStream, deleteLogStream, describeLogStreams } from "./operations/log-streams.ts";
import { putLogEvents } from "./operations/put-log-events.ts";
import { deleteRetentionPolicy, putRetentionPolicy } from "./operations/retention.ts";
import { listTagsForResource, listTagsLogGroup, tagLogGroup, tagResource, untagLogGroup, untagResource } from "./operations/tags.ts";
import { createRoom } from "./room.ts";

export interface LogsServiceOptions {
  readonly logStore: LogStore;
  readonly toolbox: Toolbox;
}

/** Amazon CloudWatch Logs' API over the log store. It keeps no records of its own. */
export function createLogsService(options: LogsServiceOptions): Service {
  const room = createRoom(options.logStore, options.toolbox);
  return {
    name: "logs",
    signingName: "logs",
    targetPrefix: "Logs_20140328",
    apiVersion: "2014-03-28",
    protocol: "awsJson1_1",
    loadSchemas: () => import("@aws-sdk/client-cloudwatch-logs"),
    errorCodes: { invalid: "InvalidParameterException", unsupported: "InvalidParameterException" },
    operations: [
      createLogGroup(room),
      createLogStream(room),
      deleteLogGroup(room),
      deleteLogStream(room),
      deleteRetentionPolicy(room),
      describeLogGroups(room),
      describeLogStreams(room),
      filterLogEvents(room),
      getLogEvents(room),
      listTagsForResource(room),
      listTagsLogGroup(room),
      putLogEvents(room),
      putRetentionPolicy(room),
      tagLogGroup(room),
      tagResource(room),
      untagLogGroup(room),
      untagResource(room),
    ],
  };
}
