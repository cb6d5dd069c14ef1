import { expect, it } from "vitest";
import { admissionPolicy } from "./admission-policy.ts";
import { matchProfile, PROFILE_LABEL } from "./match-profile.ts";
import type { FargateProfile } from "./ports.ts";

const profile = (name: string, namespace: string, labels: Readonly<Record<string, string>> = {}): FargateProfile => ({
  name,
  selectors: [{ namespace, labels }],
  subnets: [],
});
const matched = (profiles: readonly FargateProfile[], namespace: string, labels: Readonly<Record<string, string>> = {}): string | undefined =>
  matchProfile(profiles, { namespace, labels })?.name;

it("matches by namespace and every label, with wildcards", () => {
  expect(matched([profile("p", "default")], "default")).toBe("p");
  expect(matched([profile("p", "default")], "defaults")).toBeUndefined();
  expect(matched([profile("p", "prod-*")], "prod-eu")).toBe("p");
  expect(matched([profile("p", "prod-?")], "prod-eu")).toBeUndefined();
  // A dot is a dot.
  expect(matched([profile("p", "*", { "app.io/tier": "web" })], "any", { "appxio/tier": "web" })).toBeUndefined();
  expect(matched([profile("p", "*", { tier: "w*", "*": "eu" })], "any", { tier: "web", region: "eu" })).toBe("p");
  expect(matched([profile("p", "*", { tier: "w*" })], "any", { tier: "db" })).toBeUndefined();
});

it("takes the first by name of several, unless the pod's label names one that matches", () => {
  const both = [profile("b", "default"), profile("a", "*")];
  expect(matched(both, "default")).toBe("a");
  expect(matched(both, "default", { [PROFILE_LABEL]: "b" })).toBe("b");
  expect(matched(both, "other", { [PROFILE_LABEL]: "b" })).toBeUndefined();
});

it("says the same in CEL, and matches nothing where there is no profile", () => {
  const conditions = (profiles: readonly FargateProfile[]): string =>
    admissionPolicy(profiles).spec?.matchConditions?.find(({ name }) => name === "of-a-profile")?.expression ?? "";
  expect(conditions([])).toMatch(/^\("tidegate\.internal\/policy" in .*\) \|\| false$/);
  expect(conditions([profile("p", "prod-*", { tier: "web" })])).toContain(String.raw`request.namespace.matches("^prod-.*$")`);
  // No text of a user's ends the string that it is in.
  expect(conditions([profile("p", "*", { tier: `a"b` })])).toContain(String.raw`a\"b`);
});
