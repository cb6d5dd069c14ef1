import { expect, it } from "vitest";
import { loginsFor, Logins } from "./logins.ts";

const login = (registry: string) => ({ registry, username: registry, password: "p" });
const found = (image: string, ...registries: readonly string[]): readonly string[] =>
  loginsFor(
    image,
    registries.map((each) => login(each)),
    [4566],
  ).map(({ username }) => username);

it("takes the logins that are for an image's registry, the most exact first", () => {
  expect(found("registry.example.com/team/app:1", "registry.example.com", "https://registry.example.com/team", "registry.example.com/other")).toEqual(
    ["https://registry.example.com/team", "registry.example.com"],
  );
  expect(found("registry.example.com:5000/app", "registry.example.com", "registry.example.com:5000")).toEqual(["registry.example.com:5000"]);
  expect(found("eu.example.com/app", "*.example.com", "*.com", "*.*.com", "example.com")).toEqual(["*.example.com", "*.*.com"]);
  // A star is within one part of the name, a dot is a dot.
  expect(found("a.b.example.com/app", "*.example.com")).toEqual([]);
  expect(found("axexample.com/app", "a.example.com")).toEqual([]);
});

it("takes no time for a pattern, whoever wrote it", () => {
  const pattern = `registry.example.com/${"*a".repeat(30)}*b`;
  const begunMs = performance.now();
  expect(found(`registry.example.com/${"a".repeat(60)}`, pattern)).toEqual([]);
  expect(found(`registry.example.com/${"a".repeat(60)}b`, pattern)).toEqual([pattern]);
  expect(performance.now() - begunMs).toBeLessThan(2000);
});

it("knows Docker's registry by all of its names", () => {
  const names = ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"];
  for (const image of ["node", "team/app", "docker.io/library/node"]) expect(found(image, ...names).toSorted()).toEqual(names.toSorted());
  expect(found("quay.io/app", ...names)).toEqual([]);
});

it("has none for this registry's own images", () => {
  const everywhere = ["localhost:4566", "127.0.0.1:4566", "111122223333.dkr.ecr.us-east-1.amazonaws.com"];
  for (const image of everywhere) expect(found(`${image}/app`, ...everywhere)).toEqual([]);
  expect(found("10.0.0.5:5000/app", "10.0.0.5:5000")).toEqual(["10.0.0.5:5000"]);
});

it("keeps a login under an account of its own", () => {
  const logins = new Logins();
  const [ann, bob] = [logins.scopeOf({ username: "ann", password: "1" }), logins.scopeOf({ username: "bob", password: "1" })];
  expect(logins.scopeOf({ username: "ann", password: "1" })).toEqual(ann);
  expect(ann.account).not.toBe(bob.account);
  expect(logins.get(ann.account)).toEqual({ username: "ann", password: "1" });
  expect(new Logins().get(ann.account)).toBeUndefined();
});
