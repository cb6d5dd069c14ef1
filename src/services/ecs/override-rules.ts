import type { TaskOverride } from "@aws-sdk/client-ecs";
import type { Scope } from "../../core/scope.ts";
import { clientError, invalidParameter } from "./errors.ts";
import { readFargateSize } from "./fargate-sizes.ts";
import type { TaskDefinitionRecord } from "./records.ts";
import { roleArn } from "./task-definition-rules.ts";

const MAXIMUM_CHARACTERS = 8192;

/**
 * Checks overrides against the definition they change.
 * @throws InvalidParameterException for an unknown container or too long a text, ClientException for a size or role that is not valid.
 */
export function readOverrides(
  overrides: TaskOverride | undefined,
  around: { readonly taskDefinition: TaskDefinitionRecord; readonly scope: Scope },
): TaskOverride {
  if (overrides === undefined) return {};
  if (JSON.stringify(overrides).length > MAXIMUM_CHARACTERS) throw invalidParameter("Overrides can have at most 8192 characters.");
  const { definition } = around.taskDefinition;
  const size = readFargateSize(overrides.cpu ?? definition.cpu, overrides.memory ?? definition.memory);
  for (const override of overrides.containerOverrides ?? []) {
    if (!definition.containerDefinitions.some((container) => container.name === override.name)) {
      throw invalidParameter(`Override for container named ${override.name} is not a container in the TaskDefinition.`);
    }
    if ((override.memory ?? 0) > size.memoryMiB)
      throw clientError(`Invalid setting for container '${override.name}'. 'memory' is greater than the memory of the task.`);
    if ((override.environment ?? []).some((variable) => !variable.name))
      throw invalidParameter("Environment variable name should not be null or empty.");
  }
  const storage = overrides.ephemeralStorage?.sizeInGiB;
  if (storage !== undefined && (storage < 21 || storage > 200)) {
    throw clientError("The value of ephemeralStorage.sizeInGiB is not valid. Specify a value between 21 and 200.");
  }
  return {
    ...overrides,
    ...(overrides.cpu === undefined ? {} : { cpu: String(size.cpuUnits) }),
    ...(overrides.memory === undefined ? {} : { memory: String(size.memoryMiB) }),
    ...(overrides.taskRoleArn ? { taskRoleArn: roleArn(overrides.taskRoleArn, around.scope) } : {}),
    ...(overrides.executionRoleArn ? { executionRoleArn: roleArn(overrides.executionRoleArn, around.scope) } : {}),
  };
}
