import type { DeleteRetentionPolicyRequest, PutRetentionPolicyRequest } from "@aws-sdk/client-cloudwatch-logs";
import type { Operation } from "../../../contracts/service.ts";
import { invalid } from "../errors.ts";
import { groupScope, operation, type LogsRoom } from "../room.ts";

const DAYS: readonly number[] = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/** Expired events are hidden at once and removed within the hour. @throws InvalidParameterException (not one of AWS's spans), ResourceNotFoundException. */
export function putRetentionPolicy(room: LogsRoom): Operation<PutRetentionPolicyRequest, object> {
  return operation(room, {
    name: "PutRetentionPolicy",
    members: { logGroupName: "used", retentionInDays: "used" },
    async handle({ logGroupName = "", retentionInDays = 0 }, context) {
      if (!DAYS.includes(retentionInDays)) {
        throw invalid(
          `1 validation error detected: Value '${retentionInDays}' at 'retentionInDays' failed to satisfy constraint: ` +
            `Member must satisfy enum value set: [${DAYS.join(", ")}]`,
        );
      }
      await room.logStore.updateGroup(groupScope(context, logGroupName), { retentionDays: retentionInDays });
      return {};
    },
  });
}

/** Events never expire from now on. Idempotent. @throws ResourceNotFoundException. */
export function deleteRetentionPolicy(room: LogsRoom): Operation<DeleteRetentionPolicyRequest, object> {
  return operation(room, {
    name: "DeleteRetentionPolicy",
    members: { logGroupName: "used" },
    async handle({ logGroupName = "" }, context) {
      await room.logStore.updateGroup(groupScope(context, logGroupName), { retentionDays: null });
      return {};
    },
  });
}
