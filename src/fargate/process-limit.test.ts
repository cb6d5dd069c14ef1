import { expect, test } from "vitest";
import { hostProcesses, processLimit } from "./process-limit.ts";

test.each([
  // The kernel's default for the memory …
  [512, 4_194_304, 4096],
  [2048, 4_194_304, 16_384],
  // … up to Fargate's pid_max …
  [30_720, 4_194_304, 32_768],
  // … and never more than an eighth of the host.
  [2048, 32_768, 4096],
  [512, 8192, 1024],
])("a task of %i MiB on a host of %i processes may have %i", (memoryMiB, host, expected) => {
  expect(processLimit(memoryMiB, host)).toBe(expected);
});

test("this host's own number is read", () => {
  expect(hostProcesses()).toBeGreaterThan(1000);
});
