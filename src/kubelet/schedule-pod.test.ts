import type { V1Pod } from "@kubernetes/client-node";
import { expect, it } from "vitest";
import type { FargateProfile } from "./ports.ts";
import { judge } from "./schedule-pod.ts";
import { testContainer, testPod } from "./testing.ts";

const PROFILES: readonly FargateProfile[] = [{ name: "p", selectors: [{ namespace: "default", labels: {} }], subnets: [] }];
const reasonOf = (pod: V1Pod, profiles = PROFILES): string => {
  const verdict = judge(pod, profiles);
  return verdict.fits ? "" : verdict.reason;
};

it("gives a pod of a profile its size", () => {
  expect(judge(testPod(), PROFILES)).toMatchObject({ fits: true, profile: { name: "p" }, cpuUnits: 256, memoryMiB: 512 });
});

it("refuses what Fargate forbids, in AWS's words and order", () => {
  const securityContext = { privileged: true, allowPrivilegeEscalation: true, capabilities: { add: ["SYS_ADMIN", "NET_RAW"] } };
  const pod = testPod({
    hostNetwork: true,
    hostPID: true,
    volumes: [{ name: "docker", hostPath: { path: "/var/run" } }],
    containers: [
      testContainer({ securityContext, ports: [{ containerPort: 80, hostPort: 80 }], volumeDevices: [{ name: "d", devicePath: "/dev/x" }] }),
    ],
  });
  expect(reasonOf(pod)).toBe(
    "Pod not supported on Fargate: fields not supported: HostNetwork, HostPID, volumes not supported: docker is of an unsupported volume Type, " +
      "invalid SecurityContext fields: Privileged,AllowPrivilegeEscalation,Capabilities added: SYS_ADMIN, volumeDevices not supported, " +
      "port contains HostIP or HostPort",
  );
});

it("says which port is the kubelet's own, and what to do", () => {
  const listens = (port: object): unknown =>
    judge(testPod({ containers: [testContainer({ ports: [{ containerPort: 10250, ...port }] })] }), PROFILES);
  expect(listens({ name: "https" })).toMatchObject({
    fits: false,
    reason: expect.stringMatching(
      /^Pod not supported on Fargate: port 10250 of container app is reserved: .* another one, .*--secure-port=10251/,
    ) as string,
  });
  expect(listens({ protocol: "UDP" })).toMatchObject({ fits: true });
  expect(listens({ containerPort: 10251 })).toMatchObject({ fits: true });
});

it("names what is not built yet", () => {
  const pod = testPod({
    volumes: [
      { name: "fast", emptyDir: { medium: "HugePages" } },
      { name: "efs", persistentVolumeClaim: { claimName: "c" } },
    ],
    containers: [testContainer({ env: [{ name: "A", valueFrom: { fileKeyRef: { key: "k", path: "p", volumeName: "v" } } }] })],
  });
  const reason = reasonOf(pod);
  for (const field of ["emptyDir.medium of volume fast", "persistentVolumeClaim of volume efs", "fileKeyRef"]) {
    expect(reason).toContain(field);
  }
  // What the API server fills in by itself is none of it.
  const defaults = testContainer({
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: "IfNotPresent",
    volumeMounts: [{ name: "token", mountPath: "/t", readOnly: true }],
  });
  const sources = [{ serviceAccountToken: { path: "token" } }, { configMap: { name: "c" } }, { downwardAPI: { items: [] } }];
  const volumes = [{ name: "token", projected: { sources, defaultMode: 420 } }];
  expect(reasonOf(testPod({ containers: [defaults], volumes, dnsPolicy: "ClusterFirst", securityContext: {}, restartPolicy: "Always" }))).toBe("");
});

it("says what to do where no profile matches, or no size is large enough", () => {
  expect(reasonOf(testPod(), [])).toContain("matches no Fargate profile of the cluster");
  const huge = testPod({ containers: [testContainer({ resources: { requests: { cpu: "64" } } })] });
  expect(reasonOf(huge)).toContain("more than the largest Fargate size");
});
