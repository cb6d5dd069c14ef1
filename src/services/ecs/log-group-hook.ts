import { HOOK_DONE, type TaskHook } from "../../contracts/task-hook.ts";
import { Problem } from "../../core/problem.ts";
import { LOG_GROUP_HOOK } from "./compile-workload.ts";
import type { LogGroups } from "./ports.ts";

/** Before any container is made: the awslogs groups exist, or are made where the definition says so; else the task fails in AWS's words. */
export function createLogGroupHook(groups: LogGroups): TaskHook {
  return {
    name: LOG_GROUP_HOOK,
    async prestart({ workload }) {
      for (const { log } of workload.containers) {
        if (log.type !== "awslogs") continue;
        const scope = { account: log.account, region: log.region };
        if (await groups.exists(scope, log.group)) continue;
        if (!log.createGroup) {
          throw new Problem(
            "not-found",
            "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition. " +
              `There is a connection issue between the task and Amazon CloudWatch. Check your network configuration. : log group ${log.group} does not exist; create it or set awslogs-create-group.`,
          );
        }
        await groups.create(scope, log.group);
      }
      return HOOK_DONE;
    },
  };
}
