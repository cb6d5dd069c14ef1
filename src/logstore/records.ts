import type { LogScope } from "../contracts/log-store.ts";
import { collection } from "../contracts/store.ts";
import { scopedKey } from "../core/scope.ts";

export interface GroupRecord {
  readonly name: string;
  readonly createdAtMs: number;
  readonly retentionDays?: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface StreamRecord {
  /** 32 hex digits: the stream's folder. A stream made anew under an old name is another one. */
  readonly id: string;
  readonly name: string;
  readonly createdAtMs: number;
}

/** By `<account>/<region>/<group>`. */
export const groups = collection<GroupRecord>("logs.group");
/** By `<account>/<region>/<group>:<stream>`; neither name may hold a colon. */
export const streams = collection<StreamRecord>("logs.stream");
/** Which stream keeps the position of a tailed source, by source id. Written before its first batch. */
export const sources = collection<{ readonly streamId: string }>("logs.source");

export const groupKey = (scope: LogScope): string => scopedKey(scope, scope.group);
export const streamPrefix = (scope: LogScope): string => `${groupKey(scope)}:`;
export const streamKey = (scope: LogScope, stream: string): string => streamPrefix(scope) + stream;
/** The group's key of a stream's. */
export const groupKeyOfStream = (key: string): string => key.slice(0, key.indexOf(":"));
