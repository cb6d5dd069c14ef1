import { expect, it } from "vitest";
import { parseQuantity, sizeInWords, sizePod } from "./pod-size.ts";
import { testContainer } from "./testing.ts";

function sized(requests: readonly Readonly<Record<string, string>>[], inits: readonly Readonly<Record<string, string>>[] = []): string | undefined {
  const size = sizePod({
    containers: requests.map((each) => testContainer({ resources: { requests: each } })),
    initContainers: inits.map((each) => testContainer({ resources: { requests: each } })),
  });
  return size && sizeInWords(size);
}

it("reads Kubernetes' quantities", () => {
  expect(["100m", "2", "0.5", "64Mi", "1e3", "1k", "128974848", "x"].map(parseQuantity)).toEqual([
    0.1, 2, 0.5, 67_108_864, 1000, 1000, 128_974_848, 0,
  ]);
});

it("sizes by the sum of the containers' requests and 256 MiB, rounded up to a size that Fargate has", () => {
  expect(sized([{}])).toBe("0.25vCPU 0.5GB");
  expect(sized([{ cpu: "250m", memory: "256Mi" }])).toBe("0.25vCPU 0.5GB");
  // The overhead leads to the next size.
  expect(sized([{ cpu: "250m", memory: "512Mi" }])).toBe("0.25vCPU 1GB");
  expect(sized([{ cpu: "200m" }, { cpu: "100m" }])).toBe("0.5vCPU 1GB");
  expect(sized([{ cpu: "1", memory: "8Gi" }])).toBe("2vCPU 9GB");
  expect(sized([{ memory: "3Gi" }])).toBe("0.5vCPU 4GB");
  expect(sized([{ cpu: "8", memory: "17Gi" }])).toBe("8vCPU 20GB");
});

it("sizes by the greatest init container where that asks for more", () => {
  expect(sized([{ cpu: "100m" }], [{ cpu: "1" }, { memory: "1Gi" }])).toBe("1vCPU 2GB");
});

it("has no size for what is larger than the largest", () => {
  expect(sized([{ cpu: "17" }])).toBeUndefined();
  expect(sized([{ memory: "120Gi" }])).toBeUndefined();
});

it("counts a limit where there is no request, and sidecars beside the rest", () => {
  const limits = testContainer({ resources: { limits: { cpu: "500m" } } });
  const sidecar = testContainer({ restartPolicy: "Always", resources: { requests: { cpu: "500m" } } });
  expect(sizePod({ containers: [limits] })).toMatchObject({ cpuUnits: 512 });
  expect(sizePod({ containers: [limits], initContainers: [sidecar] })).toMatchObject({ cpuUnits: 1024 });
});
