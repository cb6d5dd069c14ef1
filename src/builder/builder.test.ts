import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fullName, missingBaseImage } from "./base-image.ts";
import { buildArguments as buildahArguments, registriesConf } from "./buildah.ts";
import { buildArguments as buildKitArguments } from "./buildkit.ts";
import type { BuildRequest } from "./builder.ts";
import { withArguments, withoutOfficialSyntaxLine } from "./docker.ts";
import { publicImageReference, shortNames } from "./public-names.ts";
import { nodeTags } from "./seed/node-image.ts";
import { packFolder } from "./seed/tar-layer.ts";
import { mountsBelow } from "./storage.ts";
import { streamCommand } from "./stream-command.ts";

const request: BuildRequest = {
  contextFolder: "/app",
  dockerfile: "/app/docker/Dockerfile",
  image: "localhost:4566/shop:1",
  registry: { host: "localhost:4566", username: "AWS", password: "hunter2" },
  publicImages: ["docker.io/library/node:26-slim"],
  buildArguments: { A: "1" },
  buildSecrets: { token: "/run/token" },
  target: "runtime",
  stateFolder: "/state",
  onLine: () => {},
};

describe("names of public images", () => {
  test("a full name has its short forms", () => {
    expect(shortNames("docker.io/library/node:26")).toEqual(["docker.io/library/node:26", "library/node:26", "node:26"]);
    expect(shortNames("quay.io/a/b:1")).toEqual(["quay.io/a/b:1"]);
  });

  test("live in the registry under a reserved prefix", () => {
    expect(publicImageReference("localhost:4566", "docker.io/library/node:26")).toBe("localhost:4566/tidegate-public/docker.io/library/node:26");
  });

  test("the seeded Node image stands for its version's tags, and for no other major", () => {
    const tags = nodeTags("26.10.0");
    expect(tags).toEqual(expect.arrayContaining(["26-slim", "26.10.0", "26.10-bookworm-slim", "latest", "slim", "lts-slim"]));
    expect(tags.some((tag) => tag.startsWith("24"))).toBe(false);
    expect(new Set(tags).size).toBe(tags.length);
  });
});

describe("command lines", () => {
  test("buildah gets arguments, secrets and target, and the password is not among them", () => {
    const line = buildahArguments(request).join(" ");
    expect(line).toContain("--build-arg A=1");
    expect(line).toContain("--secret id=token,src=/run/token");
    expect(line).toContain("--target runtime");
    expect(line).not.toContain(request.registry.password);
  });

  test("buildah's registries are mirrored by ours", () => {
    const conf = registriesConf(request);
    expect(conf).toContain('location = "localhost:4566/tidegate-public/docker.io"');
    expect(conf.match(/prefix = "docker.io"/g)).toHaveLength(1);
  });

  test("BuildKit takes seeded images as named contexts, under each name a Dockerfile may use", () => {
    const args = buildKitArguments(request);
    expect(args).toContain("context:node:26-slim=docker-image://localhost:4566/tidegate-public/docker.io/library/node:26-slim");
    expect(args).toContain("dockerfile=/app/docker");
  });
});

describe("the syntax line", () => {
  test.each([
    ["# syntax=docker/dockerfile:1\nFROM a\n", "#\nFROM a\n"],
    ["#syntax = docker.io/docker/dockerfile:1.7-labs\nFROM a", "#\nFROM a"],
    ["# syntax=example.com/own/frontend:1\nFROM a\n", "# syntax=example.com/own/frontend:1\nFROM a\n"],
    ["FROM a\n# syntax=docker/dockerfile:1\n", "FROM a\n# syntax=docker/dockerfile:1\n"],
  ])("%j becomes %j", (before, after) => {
    expect(withoutOfficialSyntaxLine(before)).toBe(after);
  });
});

test("the same folder packs to the same layer", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-layer-"));
  try {
    await writeFile(join(folder, "a"), "one");
    const first = await packFolder(folder, `${folder}.1.tar.gz`);
    const second = await packFolder(folder, `${folder}.2.tar.gz`);
    expect(second.digest).toBe(first.digest);
    expect(second.diffId).toBe(first.diffId);
    expect(first.digest).not.toBe(first.diffId);
  } finally {
    for (const path of [folder, `${folder}.1.tar.gz`, `${folder}.2.tar.gz`]) await rm(path, { recursive: true, force: true });
  }
});

test("a command that fails says its last lines", async () => {
  const lines: string[] = [];
  const failing = streamCommand(["sh", "-c", "echo one; echo two >&2; exit 3"], { onLine: (line) => lines.push(line) });
  await expect(failing).rejects.toThrow(/failed \(exit code 3\)[\s\S]*two/);
  expect(lines.sort()).toEqual(["one", "two"]);
});

test("build arguments are put into the names of images", () => {
  const dockerfile = 'ARG TAG="26-slim"\nARG BASE=node\nFROM ${BASE}:$TAG\nFROM debian:${SUITE:-bookworm}\nRUN echo $HOME ${TAG}\n';
  expect(withArguments(dockerfile, {})).toContain("FROM node:26-slim\nFROM debian:bookworm\nRUN echo $HOME 26-slim");
  expect(withArguments(dockerfile, { TAG: "26", SUITE: "12" })).toContain("FROM node:26\nFROM debian:12\n");
});

describe("a base image that could not be had", () => {
  test.each([
    ["Error: creating build container: initializing source docker://python:3-slim: (Mirrors also failed: [x]): no such host", "python:3-slim"],
    [
      "------\n > [internal] load metadata for docker.io/library/python:3-slim:\n------\nfailed to solve: failed to do request",
      "docker.io/library/python:3-slim",
    ],
    [
      "ERROR: failed to solve: failed to resolve source metadata for docker.io/library/python:3: dial tcp: no such host",
      "docker.io/library/python:3",
    ],
    ['Step 1/2 : FROM python:3\nGet "https://registry.example/v2/": dial tcp: no such host', "python:3"],
    ["pull access denied for team/base, repository does not exist or may require 'docker login'", "team/base"],
    ['Error: building at STEP "RUN make": exit status 2', undefined],
  ])("%s", (message, image) => {
    expect(missingBaseImage(message)).toBe(image);
  });

  test.each([
    ["node", "docker.io/library/node:latest"],
    ["node:26", "docker.io/library/node:26"],
    ["team/base", "docker.io/team/base:latest"],
    ["quay.io/team/base:1", "quay.io/team/base:1"],
    ["localhost:4566/shop", "localhost:4566/shop:latest"],
    ["node@sha256:abc", "docker.io/library/node@sha256:abc"],
  ])("%s is %s in full", (short, full) => {
    expect(fullName(short)).toBe(full);
  });
});

test("mounts below a folder come innermost first, and no neighbour's", () => {
  const line = (path: string): string => `36 35 98:0 / ${path} rw - ext4 /dev/vda rw`;
  const info = ["/", "/data/b", "/data/b/over lay".replace(" ", "\\040"), "/data/b/overlay/x/merged", "/data/bb"].map(line).join("\n");
  expect(mountsBelow("/data/b", info)).toEqual(["/data/b/overlay/x/merged", "/data/b/over lay", "/data/b"]);
});
