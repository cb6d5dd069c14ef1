import { authenticatorStream, logGroupOf } from "../control-plane/logging.ts";
import type { ClusterRecord } from "../records.ts";
import type { EksRoom } from "../room.ts";
import type { Review } from "./token-review.ts";

/** A line of the authenticator's log in its own form. Pure. @see aws-iam-authenticator, whose log is logrus' text. */
export function authenticatorLine(review: Review, nowMs: number): string {
  const time = `time=${JSON.stringify(new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z"))}`;
  const request = "method=POST path=/authenticate";
  if ("fault" in review) return `${time} level=warning msg="access denied" error=${JSON.stringify(review.fault)} ${request}`;
  const { username, uid, groups, extra } = review.user;
  const who = `arn=${JSON.stringify(extra["canonicalArn"]?.[0] ?? "")} groups=${JSON.stringify(`[${groups.join(" ")}]`)}`;
  return `${time} level=info msg="access granted" ${who} ${request} uid=${JSON.stringify(uid)} username=${JSON.stringify(username)}`;
}

/** Writes it where the cluster's authenticator log is on. A line that cannot be written keeps nobody out. */
export async function logAuthentication(room: EksRoom, cluster: ClusterRecord, review: Review): Promise<void> {
  if (cluster.logging?.includes("authenticator") !== true) return;
  const atMs = room.clock.nowMs();
  const line = { group: logGroupOf(cluster), stream: authenticatorStream(cluster), message: authenticatorLine(review, atMs), atMs };
  await room.ports.logs
    .write(cluster, line)
    .catch((error: unknown) =>
      room.logger.warn("a line of an EKS cluster's authenticator log could not be written", { cluster: cluster.name, err: error }),
    );
}
