import type { RegisterTaskDefinitionRequest, RegisterTaskDefinitionResponse } from "@aws-sdk/client-ecs";
import type { Members, Operation, RequestContext } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { families, familyKey, type TaskDefinitionRecord, taskDefinitionKey, taskDefinitions } from "../records.ts";
import type { Room } from "../room.ts";
import { readTags } from "../tags.ts";
import { readDefinition } from "../task-definition-rules.ts";
import { taskDefinitionView } from "../task-definition-view.ts";

const SECRETS = { refused: "secrets are not built yet.", unless: [[]] } as const;

const MEMBERS: Members = {
  family: "used",
  taskRoleArn: "used",
  executionRoleArn: "used",
  networkMode: "used",
  containerDefinitions: "used",
  "containerDefinitions.repositoryCredentials": { refused: "credentials of private registries are not built yet." },
  "containerDefinitions.environmentFiles": { refused: "environment files are not built yet.", unless: [[]] },
  "containerDefinitions.secrets": SECRETS,
  "containerDefinitions.logConfiguration.secretOptions": SECRETS,
  "containerDefinitions.firelensConfiguration": { refused: "FireLens is not built yet." },
  "containerDefinitions.portMappings.containerPortRange": { refused: "port ranges are not built yet; map each port." },
  volumes: "used",
  "volumes.efsVolumeConfiguration": { refused: "EFS volumes are not built yet." },
  "volumes.s3filesVolumeConfiguration": { refused: "S3 file volumes are not built yet." },
  "volumes.configuredAtLaunch": { refused: "EBS volumes are not built yet.", unless: [false] },
  placementConstraints: "used",
  requiresCompatibilities: "used",
  cpu: "used",
  memory: "used",
  tags: "used",
  pidMode: "used",
  ipcMode: "used",
  proxyConfiguration: { refused: "App Mesh proxies are not built." },
  inferenceAccelerators: "used",
  ephemeralStorage: "used",
  runtimePlatform: "used",
  enableFaultInjection: { refused: "fault injection is not built yet.", unless: [false] },
};

/** Stores a new revision of a family. @throws ClientException with AWS's words for the rule that is broken. */
export function registerTaskDefinition(room: Room): Operation<RegisterTaskDefinitionRequest, RegisterTaskDefinitionResponse> {
  return {
    name: "RegisterTaskDefinition",
    members: MEMBERS,
    async handle(input, context) {
      const tags = readTags(input.tags);
      const record = await store(room, { definition: readDefinition(input, context), tags, context });
      return { taskDefinition: taskDefinitionView(record), tags: [...tags] };
    },
  };
}

interface NewRevision extends Pick<TaskDefinitionRecord, "definition" | "tags"> {
  readonly context: RequestContext;
}

/** Takes the family's next number; two at once get two. */
async function store(room: Room, { definition, tags, context }: NewRevision): Promise<TaskDefinitionRecord> {
  const family = definition.family ?? "";
  const scope = { account: context.account, region: context.region };
  const key = familyKey(scope, family);
  for (;;) {
    const last = await room.store.get(families, key);
    const revision = (last?.value.lastRevision ?? 0) + 1;
    const record: TaskDefinitionRecord = {
      ...scope,
      family,
      revision,
      status: "ACTIVE",
      definition,
      registeredAtMs: context.nowMs,
      registeredBy: context.principal.arn,
      tags,
    };
    const value = { ...scope, family, lastRevision: revision };
    try {
      await room.store.transact([
        last === undefined
          ? { op: "create", collection: families, key, value }
          : { op: "update", collection: families, key, value, ifRevision: last.revision },
        { op: "create", collection: taskDefinitions, key: taskDefinitionKey(scope, family, revision), value: record },
      ]);
      return record;
    } catch (error) {
      if (!isProblem(error, "conflict", "already-exists")) throw error;
    }
  }
}
