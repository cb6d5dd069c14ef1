import type { RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { describe, expect, it } from "vitest";
import { messageOf } from "../../core/problem.ts";
import { parseCpu, parseMemory, readFargateSize } from "./fargate-sizes.ts";
import { readDefinition } from "./task-definition-rules.ts";
import { definition, SCOPE } from "./testing.ts";

const read = (container: object = {}, task: object = {}): ReturnType<typeof readDefinition> =>
  readDefinition(definition("web", container, task) as RegisterTaskDefinitionRequest, SCOPE);
const refusal = (container: object = {}, task: object = {}): string => {
  try {
    read(container, task);
  } catch (error) {
    return messageOf(error);
  }
  return "accepted";
};

describe("sizes", () => {
  it.each([
    ["1024", 1024],
    ["1 vCPU", 1024],
    [".5 vcpu", 512],
    ["16vCPU", 16384],
    ["x", undefined],
  ])("reads cpu %s", (text, units) => expect(parseCpu(text)).toBe(units));

  it.each([
    ["2048", 2048],
    ["2GB", 2048],
    ["0.5 GB", 512],
    ["x", undefined],
  ])("reads memory %s", (text, mebibytes) => expect(parseMemory(text)).toBe(mebibytes));

  it.each([
    ["256", "2048"],
    ["512", "4096"],
    ["1024", "8192"],
    ["2048", "4096"],
    ["4096", "30720"],
    ["8192", "61440"],
    ["16384", "122880"],
    ["32768", "249856"],
  ])("has %s CPU with %s MiB", (cpu, memory) => expect(readFargateSize(cpu, memory)).toEqual({ cpuUnits: Number(cpu), memoryMiB: Number(memory) }));

  it.each([
    ["256", "4096"],
    ["300", "512"],
    ["1024", "2500"],
    ["8192", "18432"],
  ])("has no %s CPU with %s MiB", (cpu, memory) =>
    expect(() => readFargateSize(cpu, memory)).toThrow(`No Fargate configuration exists for given values: ${cpu} CPU, ${memory} memory.`),
  );
});

it("fills in what AWS echoes", () => {
  const [container] = read({ healthCheck: { command: ["CMD", "true"] } }, { cpu: "1 vCPU", memory: "2GB" }).containerDefinitions;
  expect(container).toEqual({
    name: "app",
    image: "node:26",
    cpu: 0,
    essential: true,
    environment: [],
    mountPoints: [],
    volumesFrom: [],
    systemControls: [],
    portMappings: [{ containerPort: 8080, hostPort: 8080, protocol: "tcp" }],
    healthCheck: { command: ["CMD", "true"], interval: 30, timeout: 5, retries: 3 },
  });
  expect(read({}, { cpu: "1 vCPU", memory: "2GB" })).toMatchObject({ cpu: "1024", memory: "2048" });
});

it.each<[string, object, object]>([
  ["Fargate only supports network mode ‘awsvpc’.", {}, { networkMode: "bridge" }],
  ["Fargate requires that 'cpu' be defined at the task level.", {}, { cpu: undefined }],
  ["Fargate requires that 'memory' be defined at the task level.", {}, { memory: undefined }],
  ["Container.name should not be null or empty.", { name: "" }, {}],
  ["Container.image should not be null or empty.", { image: undefined }, {}],
  ["Container list cannot be empty.", {}, { containerDefinitions: [] }],
  [
    "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
    { portMappings: [{ containerPort: 80, hostPort: 8080 }] },
    {},
  ],
  ["Fargate compatible task definitions do not support sourcePath", {}, { volumes: [{ name: "v", host: { sourcePath: "/etc" } }] }],
  ["Fargate compatible task definitions do not support ipcMode", {}, { ipcMode: "task" }],
  ["Fargate compatible task definitions do not support constraints", {}, { placementConstraints: [{ type: "memberOf" }] }],
  ["Fargate compatible task definitions do not support maxSwap", { linuxParameters: { maxSwap: 1 } }, {}],
  ["do not support swappiness", { linuxParameters: { swappiness: 1 } }, {}],
  ["do not support sharedMemorySize", { linuxParameters: { sharedMemorySize: 128 } }, {}],
  ["do not support tmpfs", { linuxParameters: { tmpfs: [{ containerPath: "/t", size: 1 }] } }, {}],
  ["do not support dockerSecurityOptions", { dockerSecurityOptions: ["no-new-privileges"] }, {}],
  ["do not support disableNetworking", { disableNetworking: true }, {}],
  ["do not support resourceRequirements", { resourceRequirements: [{ type: "GPU", value: "1" }] }, {}],
  ["do not support credentialSpecs", { credentialSpecs: ["credentialspec:x"] }, {}],
  ["do not support pidMode=host", {}, { pidMode: "host" }],
  ["DNS servers are not supported", { dnsServers: ["1.1.1.1"] }, {}],
  ["DNS search domains are not supported", { dnsSearchDomains: ["x"] }, {}],
  ["Extra hosts are not supported", { extraHosts: [{ hostname: "a", ipAddress: "1.1.1.1" }] }, {}],
  ["The hostname parameter is not supported", { hostname: "a" }, {}],
  ["Invalid system control 'kernel.pid_max'.", { systemControls: [{ namespace: "kernel.pid_max", value: "1" }] }, {}],
  ["Invalid system control 'vm.swappiness'.", { systemControls: [{ namespace: "vm.swappiness", value: "1" }] }, {}],
  ["Ulimit nproc: the soft limit must not exceed", { ulimits: [{ name: "nproc", softLimit: -1, hardLimit: 100 }] }, {}],
  ["accepted", { ulimits: [{ name: "memlock", softLimit: 100, hardLimit: -1 }] }, {}],
  ["accepted", { ulimits: [{ name: "memlock", softLimit: -1, hardLimit: -1 }] }, {}],
  ["accepted", { systemControls: [{ namespace: "net.ipv4.tcp_keepalive_time", value: "500" }] }, {}],
  ["accepted", { linuxParameters: { initProcessEnabled: true, capabilities: { add: ["SYS_PTRACE"], drop: ["ALL"] } } }, { pidMode: "task" }],
  ["Fargate compatible task definitions do not support devices", { linuxParameters: { devices: [{ hostPath: "/dev/x" }] } }, {}],
  ["Fargate compatible task definitions do not support privileged containers", { privileged: true }, {}],
  ["Links are not supported when networkMode=awsvpc.", { links: ["other"] }, {}],
  ["only SYS_PTRACE can be added", { linuxParameters: { capabilities: { add: ["NET_ADMIN"] } } }, {}],
  [
    "Fargate requires task definition to have execution role ARN to support ECR images.",
    { image: "111122223333.dkr.ecr.us-east-1.amazonaws.com/a" },
    {},
  ],
  ["TaskDefinition must have at least one essential container.", { essential: false }, {}],
  ["'stopTimeout' setting", { stopTimeout: 121 }, {}],
  ["'healthCheck.interval' setting", { healthCheck: { command: ["CMD", "x"], interval: 4 } }, {}],
  ["requiresCompatibilities=EC2", {}, { requiresCompatibilities: ["EC2"] }],
  ["Unknown volume 'v'.", { mountPoints: [{ sourceVolume: "v", containerPath: "/v" }] }, {}],
  ["ephemeralStorage.sizeInGiB", {}, { ephemeralStorage: { sizeInGiB: 20 } }],
  ["do not support log driver json-file", { logConfiguration: { logDriver: "json-file" } }, {}],
  ["logDriver=awsfirelens", { logConfiguration: { logDriver: "awsfirelens" } }, {}],
  ["requires options: awslogs-group", { logConfiguration: { logDriver: "awslogs", options: {} } }, { executionRoleArn: "r" }],
  ["Role is not valid", {}, { taskRoleArn: "not a role" }],
])("refuses: %s", (words, container, task) => expect(refusal(container, task)).toContain(words));

it("refuses a circle of dependencies, and waiting for the end of an essential container", () => {
  const both = (a: object, b: object): object => ({
    containerDefinitions: [
      { name: "a", image: "x", ...a },
      { name: "b", image: "x", ...b },
    ],
  });
  expect(
    refusal({}, both({ dependsOn: [{ containerName: "b", condition: "START" }] }, { dependsOn: [{ containerName: "a", condition: "START" }] })),
  ).toBe("Container dependencies form a cycle.");
  expect(refusal({}, both({ dependsOn: [{ containerName: "b", condition: "SUCCESS" }] }, {}))).toContain("cannot be set on an essential container");
  expect(refusal({}, both({ dependsOn: [{ containerName: "b", condition: "SUCCESS" }] }, { essential: false }))).toBe("accepted");
});
