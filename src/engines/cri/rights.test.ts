import { readFileSync } from "node:fs";
import { UlimitName } from "@aws-sdk/client-ecs";
import { expect, test } from "vitest";
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

test("ulimits are clamped to what the host has, and each shortfall is said", () => {
  const ulimits = new Ulimits({ limits: LIMITS });
  expect(ulimits.rlimits([])).toEqual([{ type: "RLIMIT_NOFILE", soft: 20_000, hard: 20_000 }]);
  expect(ulimits.rlimits([{ name: "nofile", soft: 1024, hard: 30_000 }])).toEqual([{ type: "RLIMIT_NOFILE", soft: 1024, hard: 20_000 }]);
  expect(ulimits.rlimits([{ name: "stack", soft: 1, hard: 2 }])).toContainEqual({ type: "RLIMIT_STACK", soft: 1, hard: 2 });
  expect(ulimits.shortfalls([{ name: "nofile", soft: 1024, hard: 30_000 }])).toEqual(["ulimit nofile is 20000, this host's hard limit, not 30000"]);
  expect(ulimits.shortfalls([{ name: "nofile", soft: 1024, hard: -1 }])).toEqual(["ulimit nofile is 20000, this host's hard limit, not unlimited"]);
  expect(ulimits.shortfalls([{ name: "stack", soft: 1, hard: -1 }])).toEqual([]);
  expect(() => ulimits.rlimits([{ name: "nofiles", soft: 1, hard: 1 }])).toThrow(/no ulimit/);
});

test("every name that ECS takes has its limit of the kernel", () => {
  const ulimits = new Ulimits({ limits: readFileSync("/proc/self/limits", "utf8"), maxOpenFiles: 1_048_576 });
  const rlimits = ulimits.rlimits(Object.values(UlimitName).map((name) => ({ name, soft: 1, hard: 2 })));
  expect(rlimits.map((rlimit) => rlimit.type.replace("RLIMIT_", "").toLowerCase()).sort()).toEqual(Object.values(UlimitName).sort());
});

test("where hard limits may be raised, nofile stops at the kernel's own maximum", () => {
  const ulimits = new Ulimits({ limits: LIMITS, maxOpenFiles: 1_048_576 });
  expect(ulimits.rlimits([])).toEqual([{ type: "RLIMIT_NOFILE", soft: 65_535, hard: 65_535 }]);
  expect(ulimits.rlimits([{ name: "nofile", soft: 5, hard: 2_000_000 }])).toEqual([{ type: "RLIMIT_NOFILE", soft: 5, hard: 1_048_576 }]);
});

test("signals go by name, short name or number", () => {
  expect(["SIGTERM", "term", "15", "SIGQUIT", "SIGRTMIN+3"].map(signalNumber)).toEqual([15, 15, 15, 3, 37]);
  expect(() => signalNumber("SIGNAL")).toThrow(/no signal/);
});
