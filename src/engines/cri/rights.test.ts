import { expect, test } from "vitest";
import { silentLogger } from "../../core/logger.ts";
import { effectiveCapabilities } from "./capabilities.ts";
import { signalNumber } from "./containers.ts";
import { Ulimits } from "./ulimits.ts";

test("capabilities are Docker's, less what is dropped, plus what is added", () => {
  expect(effectiveCapabilities([], [])).toHaveLength(14);
  expect(effectiveCapabilities([], ["NET_RAW", "cap_mknod"])).not.toContain("NET_RAW");
  expect(effectiveCapabilities([], ["ALL"])).toEqual([]);
  expect(effectiveCapabilities(["SYS_PTRACE"], ["ALL"])).toEqual(["SYS_PTRACE"]);
  expect(effectiveCapabilities(["CAP_CHOWN"], [])).toHaveLength(14);
  expect(() => effectiveCapabilities(["ALL"], [])).toThrow(/not supported/);
});

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max stack size            8388608              unlimited            bytes
Max open files            1024                 20000                files
`;

test("ulimits are clamped to what the host has, and that is told once", () => {
  const told: unknown[] = [];
  const logger = { ...silentLogger, warn: (_: string, fields?: unknown) => void told.push(fields) };
  const ulimits = new Ulimits(logger, { limits: LIMITS });
  expect(ulimits.rlimits([])).toEqual([{ type: "RLIMIT_NOFILE", soft: 20_000, hard: 20_000 }]);
  expect(ulimits.rlimits([{ name: "nofile", soft: 1024, hard: 30_000 }])).toEqual([{ type: "RLIMIT_NOFILE", soft: 1024, hard: 20_000 }]);
  expect(ulimits.rlimits([{ name: "stack", soft: 1, hard: 2 }])).toContainEqual({ type: "RLIMIT_STACK", soft: 1, hard: 2 });
  expect(told).toEqual([{ ulimit: "nofile", asked: 65_535, given: 20_000 }]);
  expect(() => ulimits.rlimits([{ name: "nofiles", soft: 1, hard: 1 }])).toThrow(/no ulimit/);
});

test("where hard limits may be raised, nofile stops at the kernel's own maximum", () => {
  const ulimits = new Ulimits(silentLogger, { limits: LIMITS, maxOpenFiles: 1_048_576 });
  expect(ulimits.rlimits([])).toEqual([{ type: "RLIMIT_NOFILE", soft: 65_535, hard: 65_535 }]);
  expect(ulimits.rlimits([{ name: "nofile", soft: 5, hard: 2_000_000 }])).toEqual([{ type: "RLIMIT_NOFILE", soft: 5, hard: 1_048_576 }]);
});

test("signals go by name, short name or number", () => {
  expect(["SIGTERM", "term", "15", "SIGQUIT", "SIGRTMIN+3"].map(signalNumber)).toEqual([15, 15, 15, 3, 37]);
  expect(() => signalNumber("SIGNAL")).toThrow(/no signal/);
});
