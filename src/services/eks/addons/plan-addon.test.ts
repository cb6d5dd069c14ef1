import { expect, it } from "vitest";
import { type ObservedAddon, planAddon } from "./plan-addon.ts";

const MINUTE_MS = 60_000;
const addon = (more: Partial<ObservedAddon> = {}): ObservedAddon => ({
  isDeleting: false,
  wanted: 1,
  applied: 1,
  isSelfManaged: false,
  state: "CREATING",
  sinceMs: 0,
  replicas: { wanted: 2, available: 1 },
  nowMs: MINUTE_MS,
  ...more,
});

it("is applied whenever something else is wanted than was applied last, also after a failure", () => {
  expect(planAddon(addon({ applied: 0 }))).toEqual({ do: "apply" });
  expect(planAddon(addon({ wanted: 2, state: "UPDATE_FAILED" }))).toEqual({ do: "apply" });
  expect(planAddon(addon({ wanted: 2, isDeleting: true }))).toEqual({ do: "remove" });
});

it("is ACTIVE once its replicas are available, and DEGRADED when they do not come within three minutes, or go", () => {
  expect(planAddon(addon())).toEqual({ do: "report", state: "CREATING", againMs: 1000 });
  expect(planAddon(addon({ replicas: { wanted: 2, available: 2 } }))).toMatchObject({ state: "ACTIVE" });
  expect(planAddon(addon({ replicas: undefined }))).toMatchObject({ state: "ACTIVE" });
  expect(planAddon(addon({ nowMs: 4 * MINUTE_MS }))).toMatchObject({ state: "DEGRADED", issue: { code: "InsufficientNumberOfReplicas" } });
  expect(planAddon(addon({ state: "ACTIVE" }))).toMatchObject({ state: "DEGRADED" });
  expect(planAddon(addon({ state: "DEGRADED", replicas: { wanted: 2, available: 2 } }))).toMatchObject({ state: "ACTIVE" });
  expect(planAddon(addon({ state: "UPDATING" }))).toMatchObject({ state: "UPDATING" });
  // A clock that was set back does not hold it up for ever.
  expect(planAddon(addon({ sinceMs: 100 * MINUTE_MS }))).toMatchObject({ state: "DEGRADED" });
});

it("says that somebody deleted its Deployment", () => {
  expect(planAddon(addon({ replicas: "gone" }))).toMatchObject({ state: "DEGRADED", issue: { code: "K8sResourceNotFound" } });
});

it("is left alone after a failure, and once it is the user's own", () => {
  for (const state of ["CREATE_FAILED", "UPDATE_FAILED"] as const) expect(planAddon(addon({ state }))).toEqual({ do: "wait" });
  expect(planAddon(addon({ isSelfManaged: true }))).toEqual({ do: "wait" });
});
