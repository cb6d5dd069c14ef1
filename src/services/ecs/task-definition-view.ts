import type { Attribute, Compatibility, TaskDefinition } from "@aws-sdk/client-ecs";
import { taskDefinitionArn } from "./names.ts";
import type { TaskDefinitionRecord } from "./records.ts";
import { dateOf } from "./time.ts";

/** The API's shape of a task definition; tags are answered beside it, not in it. */
export function taskDefinitionView(record: TaskDefinitionRecord): TaskDefinition {
  const { definition } = record;
  return {
    ...definition,
    containerDefinitions: [...definition.containerDefinitions],
    taskDefinitionArn: taskDefinitionArn(record, record.family, record.revision),
    revision: record.revision,
    status: record.status,
    requiresAttributes: requiredAttributes(definition),
    compatibilities: ["EC2", "FARGATE"] satisfies Compatibility[],
    registeredAt: dateOf(record.registeredAtMs),
    registeredBy: record.registeredBy,
    ...(record.deregisteredAtMs === undefined ? {} : { deregisteredAt: dateOf(record.deregisteredAtMs) }),
    ...(record.deleteRequestedAtMs === undefined ? {} : { deleteRequestedAt: dateOf(record.deleteRequestedAtMs) }),
  };
}

/** What an agent must be able to do to run it, as AWS computes it from the members used. */
function requiredAttributes(definition: TaskDefinitionRecord["definition"]): Attribute[] {
  const containers = definition.containerDefinitions;
  const some = (test: (container: (typeof containers)[number]) => unknown): boolean => containers.some((container) => Boolean(test(container)));
  const awslogs = some((container) => container.logConfiguration?.logDriver === "awslogs");
  const ecr = some((container) => /\.dkr\.ecr\./.test(container.image ?? ""));
  const names: [boolean, string][] = [
    [awslogs, "com.amazonaws.ecs.capability.logging-driver.awslogs"],
    [awslogs && definition.executionRoleArn !== undefined, "ecs.capability.execution-role-awslogs"],
    [ecr, "com.amazonaws.ecs.capability.ecr-auth"],
    [ecr && definition.executionRoleArn !== undefined, "ecs.capability.execution-role-ecr-pull"],
    [definition.taskRoleArn !== undefined, "com.amazonaws.ecs.capability.task-iam-role"],
    [some((container) => container.healthCheck), "ecs.capability.container-health-check"],
    [some((container) => container.dependsOn?.length), "ecs.capability.container-ordering"],
    [some((container) => container.restartPolicy?.enabled), "ecs.capability.container-restart-policy"],
    [true, "com.amazonaws.ecs.capability.docker-remote-api.1.18"],
    [some((container) => container.logConfiguration) || ecr, "com.amazonaws.ecs.capability.docker-remote-api.1.19"],
    [some((container) => container.linuxParameters?.initProcessEnabled), "com.amazonaws.ecs.capability.docker-remote-api.1.25"],
    [some((container) => container.healthCheck), "com.amazonaws.ecs.capability.docker-remote-api.1.29"],
    [true, "ecs.capability.task-eni"],
  ];
  return names.filter(([wanted]) => wanted).map(([, name]) => ({ name }));
}
