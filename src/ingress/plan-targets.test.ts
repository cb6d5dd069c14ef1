import type { V1EndpointSlice, V1Pod } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { gateOf } from "./model.ts";
import { planTargets } from "./plan-targets.ts";
import { gateCondition } from "./readiness.ts";

const GROUP = "k8s-default-web-0123456789";
const SOURCE = { namespace: "default", service: "web", portName: "http", selector: { app: "web" } };
const NOW_MS = Date.UTC(2026, 0, 1, 12);

type Conditions = NonNullable<NonNullable<V1EndpointSlice["endpoints"]>[number]["conditions"]>;

function slice(conditions: Conditions, more: Partial<V1EndpointSlice> = {}): V1EndpointSlice {
  const targetRef = { kind: "Pod", name: "web-1", namespace: "default", uid: "u-1" };
  return {
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.5"], conditions, targetRef }],
    ports: [
      { name: "admin", port: 9000 },
      { name: "http", port: 8080 },
    ],
    ...more,
  };
}

function pod({ gate = true, containersReady = true, deleting = false } = {}): V1Pod {
  return {
    metadata: { name: "web-1", ...(deleting && { deletionTimestamp: new Date(NOW_MS) }) },
    spec: { containers: [], ...(gate && { readinessGates: [{ conditionType: gateOf(GROUP) }] }) },
    status: { conditions: [{ type: "ContainersReady", status: containersReady ? "True" : "False" }] },
  };
}

function wanted(slices: readonly V1EndpointSlice[], known?: V1Pod): readonly string[] {
  return planTargets({ name: GROUP, source: SOURCE, slices, pod: () => known })
    .filter((endpoint) => endpoint.wanted)
    .map(({ ip, port }) => `${ip}:${port}`);
}

describe("targets", () => {
  it("are the endpoints that are ready, at the service's port", () => {
    expect(wanted([slice({ ready: true })])).toEqual(["10.0.0.5:8080"]);
    expect(wanted([slice({})])).toEqual(["10.0.0.5:8080"]);
    expect(wanted([slice({ ready: false })], pod({ gate: false }))).toEqual([]);
    expect(wanted([slice({ ready: true }, { addressType: "IPv6" })])).toEqual([]);
    expect(wanted([slice({ ready: true }, { ports: [{ name: "other", port: 1 }] })])).toEqual([]);
  });

  it("are those too that wait for nothing but the group's own gate", () => {
    expect(wanted([slice({ ready: false })], pod())).toEqual(["10.0.0.5:8080"]);
    expect(wanted([slice({ ready: false })], pod({ containersReady: false }))).toEqual([]);
  });

  it("are not those that go, whoever knows first", () => {
    expect(wanted([slice({ ready: false, serving: true, terminating: true })], pod())).toEqual([]);
    expect(wanted([slice({ ready: true })], pod({ deleting: true }))).toEqual([]);
  });

  it("are there once when an address stands in two slices", () => {
    expect(wanted([slice({ ready: false }), slice({ ready: true })], pod({ gate: false }))).toEqual(["10.0.0.5:8080"]);
  });
});

describe("the condition of a gate", () => {
  it("is True for a healthy target, False with ELBv2's words else, and is written only when it says something new", () => {
    const waiting = gateCondition(
      pod(),
      GROUP,
      { state: "initial", reason: "Elb.RegistrationInProgress", description: "Target registration is in progress" },
      NOW_MS,
    );
    expect(waiting).toEqual({
      type: `target-health.elbv2.k8s.aws/${GROUP}`,
      status: "False",
      reason: "Elb.RegistrationInProgress",
      message: "Target registration is in progress",
      lastTransitionTime: "2026-01-01T12:00:00Z",
    });
    const healthy = gateCondition(pod(), GROUP, { state: "healthy" }, NOW_MS);
    expect(healthy).toMatchObject({ status: "True" });
    const told = { status: { conditions: [{ type: gateOf(GROUP), status: "True" }] } };
    expect(gateCondition(told, GROUP, { state: "healthy" }, NOW_MS)).toBeUndefined();
    expect(gateCondition(told, GROUP, undefined, NOW_MS)).toMatchObject({ status: "False", reason: "Target.NotRegistered" });
  });
});
