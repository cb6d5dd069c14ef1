import { expect, it } from "vitest";
import { type AskedSelector, checkProfileName, readSelectors } from "./profile-rules.ts";

const read = (...selectors: readonly AskedSelector[]): unknown => readSelectors(selectors, "shop");
const labels = (count: number): Readonly<Record<string, string>> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, "v"]));

it("takes selectors with wildcards, and fills in what is left out", () => {
  expect(read({ namespace: "prod-*" }, { namespace: "default", labels: { "app.kubernetes.io/name": "web-?" } })).toEqual([
    { namespace: "prod-*", labels: {} },
    { namespace: "default", labels: { "app.kubernetes.io/name": "web-?" } },
  ]);
  expect(read(...Array.from({ length: 5 }, () => ({ namespace: "a", labels: labels(5) })))).toHaveLength(5);
});

it("refuses in EKS's words", () => {
  expect(() => read()).toThrow("Fargate Profile requires at least one selector.");
  expect(() => readSelectors(undefined, "shop")).toThrow("Fargate Profile requires at least one selector.");
  expect(() => read({})).toThrow("Fargate Profile must have at least one selector with at least one namespace value.");
  expect(() => read(...Array.from({ length: 6 }, () => ({ namespace: "a" })))).toThrow("Request contains more than 5 Selectors");
  expect(() => read({ namespace: "a", labels: labels(6) })).toThrow("Request contains Selector with more than 5 Label pairs");
  expect(() => read({ namespace: "No" })).toThrow("The namespace provided is invalid.");
  expect(() => read({ namespace: "a", labels: { app: `x"y` } })).toThrow("Selector label provided is invalid.");
  expect(() => checkProfileName("a/b", "shop")).toThrow("The Fargate profile name parameter contains invalid characters");
});
