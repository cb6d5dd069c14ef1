import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { LogCollector } from "../contracts/log-store.ts";
import type { Network } from "../contracts/network.ts";
import type { Store } from "../contracts/store.ts";
import type { ContainerSpec, Workload } from "../contracts/workload.ts";
import type { Clock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import type { FargateOptions } from "./fargate.ts";

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
    runtimeHandler: "runc",
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

/** What a compute layer is tested over; the test brings its own. */
export interface TestParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly runtime: ContainerRuntime;
  readonly network: Network;
  readonly logs: LogCollector;
}

/** Options of a compute layer over these parts: images resolve to themselves, roles give fixed credentials for an hour. */
export function testFargateOptions(parts: TestParts, more: Partial<FargateOptions> = {}): FargateOptions {
  return {
    ...parts,
    config: { instanceId: "abc123", dataDir: "/nonexistent", trustHostCa: false, engine: "simulated" },
    ids: randomIds,
    logger: silentLogger,
    images: { resolve: async ({ image }) => ({ reference: image }) },
    credentials: {
      issue: async (RoleArn, sessionName) => ({
        RoleArn,
        AccessKeyId: `ASIA${sessionName}`,
        SecretAccessKey: "secret",
        Token: "token",
        Expiration: new Date(parts.clock.nowMs() + 3_600_000).toISOString(),
      }),
    },
    podCredentials: { answer: async () => ({ status: 404, body: {} }) },
    metadata: {
      task: async (view, { version, withTags }) => ({ TaskARN: view.workload.id, version, ...(withTags && { TaskTags: {} }) }),
      container: async (_view, Name, { version }) => ({ Name, version }),
    },
    hostMemoryMiB: 64 * 1024,
    ...more,
  };
}
