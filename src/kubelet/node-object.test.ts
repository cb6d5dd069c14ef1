import { expect, it } from "vitest";
import { nodeNameOf, nodeObject, POD_UID_ANNOTATION } from "./node-object.ts";
import { CLUSTER, NOW_MS, PLACEMENT } from "./testing.ts";

const ENGINE = { name: "containerd", version: "1.6.20", machine: { architecture: "arm64", kernel: "6.1.0" } };

it("is named after the pod's address, as in the VPC of its region", () => {
  expect(nodeNameOf(PLACEMENT)).toBe("fargate-ip-10-0-1-2.ec2.internal");
  expect(nodeNameOf({ address: "10.0.1.2", region: "eu-west-1" })).toBe("fargate-ip-10-0-1-2.eu-west-1.compute.internal");
});

it("takes one pod, of the size that was provisioned, and no other", () => {
  const { metadata, spec, status } = nodeObject({ cluster: CLUSTER, placement: PLACEMENT, engine: ENGINE, nowMs: NOW_MS });
  expect(metadata?.annotations?.[POD_UID_ANNOTATION]).toBe(PLACEMENT.uid);
  expect(metadata?.labels).toMatchObject({ "eks.amazonaws.com/compute-type": "fargate", "topology.kubernetes.io/zone": "us-east-1a" });
  expect(metadata?.labels?.["kubernetes.io/arch"]).toBe("arm64");
  expect(status?.nodeInfo).toMatchObject({ architecture: "arm64", kernelVersion: "6.1.0", containerRuntimeVersion: "containerd://1.6.20" });
  expect(spec?.taints).toEqual([{ key: "eks.amazonaws.com/compute-type", value: "fargate", effect: "NoSchedule" }]);
  expect(status?.allocatable).toEqual({ cpu: "250m", memory: "512Mi", "ephemeral-storage": "20Gi", pods: "1" });
  expect(status?.addresses?.[0]).toEqual({ type: "InternalIP", address: "10.0.1.2" });
  expect(status?.conditions?.map(({ type, status: said }) => `${type}=${said}`)).toEqual([
    "MemoryPressure=False",
    "DiskPressure=False",
    "PIDPressure=False",
    "Ready=True",
  ]);
});
