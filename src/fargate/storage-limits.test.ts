import { expect, it } from "vitest";
import { storageEviction } from "./storage-limits.ts";
import { testContainer, testWorkload } from "./testing.ts";

const MIB = 2 ** 20;
const workload = testWorkload({
  volumes: [
    { name: "v", type: "ephemeral", sizeLimit: { bytes: MIB, words: "1Mi" } },
    { name: "fast", type: "ephemeral", medium: "memory", sizeLimit: { bytes: MIB, words: "1Mi" } },
  ],
  containers: [
    testContainer("a", { ephemeralStorageLimit: { bytes: 2 * MIB, words: "2Mi" } }),
    testContainer("b", { ephemeralStorageLimit: { bytes: 3 * MIB, words: "3Mi" } }),
  ],
});
const reasonOf = (volumes: Record<string, number>, layers: Record<string, number> = {}, totalBytes = 0): string | undefined =>
  storageEviction(workload, { volumes: new Map(Object.entries(volumes)), layers: new Map(Object.entries(layers)), totalBytes })?.reason;

it("tells of the limit that is exceeded: a volume's, the whole, a container's", () => {
  expect(reasonOf({ v: MIB, fast: 9 * MIB }, { a: 2 * MIB }, 5 * MIB)).toBeUndefined();
  expect(reasonOf({ v: MIB + 1 })).toBe('Usage of EmptyDir volume "v" exceeds the limit "1Mi". ');
  expect(reasonOf({}, {}, 5 * MIB + 1)).toBe("Pod ephemeral local storage usage exceeds the total limit of containers 5242880. ");
  expect(reasonOf({}, { a: 2 * MIB + 1 })).toBe('Container a exceeded its local ephemeral storage limit "2Mi". ');
});
