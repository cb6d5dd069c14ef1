import { describe, expect, it } from "vitest";
import { isRepositoryName, parseImageName, publicRegistryOf, scopeOfEcrHost } from "./names.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("image names", () => {
  it("are read as docker reads them", () => {
    expect(parseImageName("node")).toEqual({ host: "docker.io", repository: "library/node", reference: "latest" });
    expect(parseImageName("node:26-slim")).toEqual({ host: "docker.io", repository: "library/node", reference: "26-slim" });
    expect(parseImageName("team/app:1")).toEqual({ host: "docker.io", repository: "team/app", reference: "1" });
    expect(parseImageName("docker.io/node")).toEqual({ host: "docker.io", repository: "library/node", reference: "latest" });
    expect(parseImageName("localhost:4566/a/b:1")).toEqual({ host: "localhost:4566", repository: "a/b", reference: "1" });
    expect(parseImageName("localhost/a")).toEqual({ host: "localhost", repository: "a", reference: "latest" });
    expect(parseImageName(`quay.io/a/b:1@${DIGEST}`)).toEqual({ host: "quay.io", repository: "a/b", reference: DIGEST });
    for (const wrong of ["", "UPPER", "a:b:c", "a@sha256:x", "a b", "quay.io/"]) expect(parseImageName(wrong)).toBeUndefined();
  });
});

describe("hosts", () => {
  it("of ECR carry an account and a region", () => {
    const scope = { account: "123456789012", region: "eu-west-1" };
    expect(scopeOfEcrHost("123456789012.dkr.ecr.eu-west-1.amazonaws.com")).toEqual(scope);
    expect(scopeOfEcrHost("123456789012.dkr.ecr.eu-west-1.amazonaws.com:443")).toEqual(scope);
    expect(scopeOfEcrHost("123456789012.dkr-ecr.eu-west-1.on.aws")).toEqual(scope);
    expect(scopeOfEcrHost("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")).toEqual({ account: "123456789012", region: "cn-north-1" });
    expect(scopeOfEcrHost("x.123456789012.dkr.ecr.eu-west-1.amazonaws.com")).toBeUndefined();
    expect(scopeOfEcrHost("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example")).toBeUndefined();
  });

  it("of public registries are host names, nothing else", () => {
    expect(publicRegistryOf("registry-1.docker.io")).toBe("docker.io");
    expect(publicRegistryOf("ghcr.io")).toBe("ghcr.io");
    for (const wrong of ["10.0.0.1", "localhost", "a", "a.b:80", "a..b", "-a.io", "http://a.io", "a.io/b"])
      expect(publicRegistryOf(wrong)).toBeUndefined();
  });
});

describe("repository names", () => {
  it("are those of ECR", () => {
    for (const right of ["ab", "a/b", "a-b_c.d/e__f"]) expect(isRepositoryName(right)).toBe(true);
    for (const wrong of ["a", "A/b", "a/", "/a", "a..b", "a_-b", "x".repeat(257)]) expect(isRepositoryName(wrong)).toBe(false);
  });
});
