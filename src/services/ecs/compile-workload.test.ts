import type { RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { expect, it } from "vitest";
import type { Workload } from "../../contracts/workload.ts";
import { seededIds } from "../../core/ids.ts";
import { compileWorkload } from "./compile-workload.ts";
import { containerMetadata, taskMetadata } from "./metadata.ts";
import { newTask, type NewTask } from "./new-task.ts";
import { readDefinition } from "./task-definition-rules.ts";
import { definition, IMAGE_DIGEST, SCOPE } from "./testing.ts";

const ROLE = "arn:aws:iam::111122223333:role/exec";

function compile(container: object = {}, task: object = {}, wanted: Partial<NewTask> = {}): Workload {
  const read = readDefinition(definition("web", container, task) as RegisterTaskDefinitionRequest, SCOPE);
  const taskDefinition = {
    ...SCOPE,
    family: "web",
    revision: 3,
    status: "ACTIVE" as const,
    definition: read,
    registeredAtMs: 0,
    registeredBy: "me",
    tags: [],
  };
  const record = newTask(seededIds("compile"), {
    scope: SCOPE,
    cluster: "default",
    taskDefinition,
    group: "family:web",
    overrides: {},
    network: { vpcId: "vpc-1", subnetId: "subnet-a", availabilityZone: "us-east-1a", securityGroupIds: ["sg-1"], assignPublicIp: true },
    loadBalancers: [],
    tags: [],
    nowMs: 0,
    ...wanted,
  });
  const workload = compileWorkload(record, taskDefinition, { runtimeHandler: "runc" });
  expect(compileWorkload(record, taskDefinition, { runtimeHandler: "runc" })).toEqual(workload);
  expect(JSON.parse(JSON.stringify(workload))).toEqual(workload);
  return workload;
}

it("gives what Fargate gives where the definition is silent", () => {
  const workload = compile();
  expect(workload).toMatchObject({
    cpuUnits: 256,
    memoryMiB: 512,
    ephemeralStorageGiB: 20,
    sharePidNamespace: false,
    spot: false,
    system: false,
    hooks: [],
  });
  expect(workload.id).toMatch(/^[0-9a-f]{32}$/);
  expect(workload.containers[0]).toMatchObject({
    stopTimeoutSeconds: 30,
    restart: { policy: "never" },
    ulimits: [{ name: "nofile", soft: 65_535, hard: 65_535 }],
    pullPolicy: "always",
    log: { type: "none" },
    essential: true,
    readOnlyRootFilesystem: false,
  });
  expect(workload.containers[0]).not.toHaveProperty("command");
});

it("injects the platform's environment, and lets the user's own win", () => {
  const environment = (container: object, wanted: Partial<NewTask> = {}, task: object = {}): Record<string, unknown> =>
    Object.fromEntries(compile(container, task, wanted).containers[0]?.environment.map(({ name, ...rest }) => [name, rest]) ?? []);
  expect(environment({})).toEqual({
    ECS_CONTAINER_METADATA_URI: { producer: "metadata-uri" },
    ECS_CONTAINER_METADATA_URI_V4: { producer: "metadata-uri-v4" },
    ECS_AGENT_URI: { producer: "agent-uri" },
    AWS_EXECUTION_ENV: { value: "AWS_ECS_FARGATE" },
    AWS_REGION: { value: "us-east-1" },
    AWS_DEFAULT_REGION: { value: "us-east-1" },
    AWS_ENDPOINT_URL: { producer: "endpoint-url" },
  });
  expect(environment({}, {}, { taskRoleArn: ROLE })).toHaveProperty("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", {
    producer: "credentials-relative-uri",
  });
  const own = environment(
    {
      environment: [
        { name: "A", value: "1" },
        { name: "B", value: "1" },
        { name: "AWS_ENDPOINT_URL", value: "http://x" },
      ],
    },
    { overrides: { containerOverrides: [{ name: "app", environment: [{ name: "B", value: "2" }] }] } },
  );
  expect(own).toMatchObject({ A: { value: "1" }, B: { value: "2" }, AWS_ENDPOINT_URL: { value: "http://x" } });
});

it("compiles health checks, logs, restarts, mounts and overrides", () => {
  const options = { "awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web", "awslogs-create-group": "true" };
  const workload = compile(
    {
      healthCheck: { command: ["CMD-SHELL", "curl -f localhost || exit 1"], startPeriod: 7 },
      logConfiguration: { logDriver: "awslogs", options },
      restartPolicy: { enabled: true, ignoredExitCodes: [0], restartAttemptPeriod: 60 },
      mountPoints: [{ sourceVolume: "v", containerPath: "/data", readOnly: true }],
      command: ["serve"],
    },
    { volumes: [{ name: "v" }], executionRoleArn: ROLE, pidMode: "task" },
    {
      overrides: { cpu: "512", memory: "1024", containerOverrides: [{ name: "app", command: ["once"] }] },
      imageDigests: { app: IMAGE_DIGEST },
      capacityProviderName: "FARGATE_SPOT",
    },
  );
  expect(workload).toMatchObject({
    cpuUnits: 512,
    memoryMiB: 1024,
    sharePidNamespace: true,
    spot: true,
    executionRoleArn: ROLE,
    hooks: ["ecs-log-groups"],
  });
  expect(workload.volumes).toEqual([{ name: "v", type: "ephemeral" }]);
  expect(workload.containers[0]).toMatchObject({
    command: ["once"],
    imageDigest: IMAGE_DIGEST,
    pullPolicy: "if-not-present",
    probes: {
      health: {
        action: { type: "exec", command: ["/bin/sh", "-c", "curl -f localhost || exit 1"] },
        periodSeconds: 30,
        startPeriodSeconds: 7,
        failureThreshold: 3,
      },
    },
    log: { type: "awslogs", account: SCOPE.account, group: "/g", stream: `web/app/${workload.id}`, createGroup: true },
    restart: { policy: "always", ignoredExitCodes: [0], minimumRunSeconds: 60 },
    mounts: [{ volume: "v", containerPath: "/data", readOnly: true }],
  });
});

it("names the load balancer hook and its targets", () => {
  const workload = compile({}, {}, { loadBalancers: [{ targetGroupArn: "arn:tg", containerName: "app", containerPort: 8080 }] });
  expect(workload.hooks).toEqual(["ecs-load-balancer"]);
  expect(JSON.parse(workload.labels["targets"] ?? "")).toEqual([{ targetGroupArn: "arn:tg", port: 8080 }]);
});

it("renders the metadata endpoint's answers", () => {
  const workload = compile();
  const status = {
    id: workload.id,
    state: "RUNNING" as const,
    desired: "RUNNING" as const,
    health: "UNKNOWN" as const,
    containers: [
      {
        name: "app",
        state: "RUNNING" as const,
        runtimeId: `${workload.id}-1`,
        imageDigest: IMAGE_DIGEST,
        health: "UNKNOWN" as const,
        ready: true,
        restartCount: 0,
        startedAtMs: 5,
      },
    ],
    acceptedAtMs: 0,
    version: 1,
    timeline: [],
  };
  const view = { workload, status };
  expect(taskMetadata(view, { nowMs: 0, storageUsedBytes: 2.5 * 2 ** 20, tags: [{ key: "a", value: "b" }] })).toMatchObject({
    EphemeralStorageMetrics: { Utilized: 3, Reserved: 20_496 },
    Cluster: "arn:aws:ecs:us-east-1:111122223333:cluster/default",
    TaskARN: `arn:aws:ecs:us-east-1:111122223333:task/default/${workload.id}`,
    Family: "web",
    Revision: "3",
    Limits: { CPU: 0.25, Memory: 512 },
    LaunchType: "FARGATE",
    TaskTags: { a: "b" },
    Containers: [{ DockerId: `${workload.id}-1`, Name: "app" }],
    FaultInjectionEnabled: false,
  });
  expect(containerMetadata(view, "app")).toMatchObject({
    DockerName: "app",
    ImageID: IMAGE_DIGEST,
    KnownStatus: "RUNNING",
    StartedAt: "1970-01-01T00:00:00.005000000Z",
    Limits: { CPU: 2 },
    Labels: { "com.amazonaws.ecs.task-definition-family": "web" },
  });
  expect(containerMetadata(view, "other")).toBeUndefined();
});
