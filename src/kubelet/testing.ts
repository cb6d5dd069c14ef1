import type { V1Container, V1Pod } from "@kubernetes/client-node";
import type { ContainerStatus, WorkloadStatus } from "../contracts/engine.ts";
import type { KubeCluster } from "./ports.ts";
import type { PodPlacement } from "./records.ts";

/** For this room's tests. */

export const NOW_MS = Date.UTC(2026, 0, 1, 12);

export const CLUSTER: KubeCluster = {
  account: "111122223333",
  region: "us-east-1",
  key: "111122223333/us-east-1/shop",
  name: "shop",
  arn: "arn:aws:eks:us-east-1:111122223333:cluster/shop",
  uid: "0123",
  vpcId: "vpc-1",
  address: "10.0.0.9",
  serviceCidr: "10.100.0.0/16",
  dnsAddress: "10.100.0.10",
  authority: "PEM",
  apiServerName: "kube-apiserver-kubelet-client",
  clusterGroupId: "sg-cluster",
};

export const PLACEMENT: PodPlacement = {
  account: "111122223333",
  region: "us-east-1",
  clusterKey: CLUSTER.key,
  clusterUid: CLUSTER.uid,
  namespace: "default",
  name: "web",
  uid: "11111111-2222-3333-4444-555555555555",
  profile: "default",
  subnetId: "subnet-a",
  availabilityZone: "us-east-1a",
  attachmentId: "attachment-1",
  cpuUnits: 256,
  memoryMiB: 512,
  address: "10.0.1.2",
  startedAtMs: NOW_MS - 60_000,
  attempt: 0,
  failures: 0,
  restarts: {},
  told: {},
};

export function testContainer(more: Partial<V1Container> = {}): V1Container {
  return { name: "app", image: "localhost:4566/app:1", ...more };
}

export function testPod(spec: Partial<NonNullable<V1Pod["spec"]>> = {}, more: Partial<V1Pod> = {}): V1Pod {
  return {
    metadata: { name: "web", namespace: "default", uid: PLACEMENT.uid, labels: { app: "web" } },
    spec: { containers: [testContainer()], nodeName: "fargate-ip-10-0-1-2.ec2.internal", serviceAccountName: "default", ...spec },
    ...more,
  };
}

export function containerOf(name: string, more: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name, state: "PENDING", health: "UNKNOWN", ready: false, restartCount: 0, ...more };
}

export function runningContainer(name: string, more: Partial<ContainerStatus> = {}): ContainerStatus {
  return containerOf(name, { state: "RUNNING", ready: true, runtimeId: "ab-1", startedAtMs: NOW_MS - 30_000, ...more });
}

export function endedContainer(name: string, exitCode: number, more: Partial<ContainerStatus> = {}): ContainerStatus {
  const times = { startedAtMs: NOW_MS - 30_000, finishedAtMs: NOW_MS - 1000 };
  return containerOf(name, { state: "STOPPED", exitCode, runtimeId: "ab-1", ...times, ...more });
}

export function workloadOf(containers: readonly ContainerStatus[], more: Partial<WorkloadStatus> = {}): WorkloadStatus {
  return {
    id: "w",
    state: "RUNNING",
    desired: "RUNNING",
    health: "UNKNOWN",
    containers,
    acceptedAtMs: NOW_MS - 60_000,
    connectivityAtMs: NOW_MS - 50_000,
    version: 1,
    timeline: [],
    ...more,
  };
}
