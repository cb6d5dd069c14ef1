import type { ContainerSpec, Workload } from "../contracts/workload.ts";

/** A container with ECS's defaults, for tests. */
export function testContainer(name: string, more: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    name,
    kind: "main",
    image: `${name}:latest`,
    pullPolicy: "if-not-present",
    environment: [],
    mounts: [],
    essential: true,
    dependsOn: [],
    stopTimeoutSeconds: 30,
    restart: { policy: "never" },
    probes: {},
    cpuUnits: 0,
    addCapabilities: [],
    dropCapabilities: [],
    readOnlyRootFilesystem: false,
    ulimits: [],
    tty: false,
    stdin: false,
    initProcess: false,
    log: { type: "none" },
    ports: [],
    labels: {},
    ...more,
  };
}

/** A workload of one container `web`, for tests. */
export function testWorkload(more: Partial<Workload> = {}): Workload {
  const id = more.id ?? "0123456789abcdef0123456789abcdef";
  return {
    id,
    account: "123456789012",
    region: "us-east-1",
    availabilityZone: "us-east-1a",
    labels: { owner: "test" },
    runtimeHandler: "",
    network: {
      attachmentId: `attachment-${id}`,
      vpcId: "vpc-1",
      subnetId: "subnet-1",
      securityGroupIds: ["sg-1"],
      assignPublicIp: false,
    },
    cpuUnits: 256,
    memoryMiB: 512,
    ephemeralStorageGiB: 20,
    sharePidNamespace: false,
    hosts: [],
    sysctls: [],
    containers: [testContainer("web")],
    volumes: [],
    spot: false,
    system: false,
    hooks: [],
    ...more,
  };
}
