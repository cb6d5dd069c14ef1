import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateRepositoryCommand, DescribeImagesCommand } from "@aws-sdk/client-ecr";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, type RunResult } from "../../src/host/run.ts";
import { type PrivateDocker, startDockerd } from "../support/dockerd.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance } from "../support/instance.ts";
import { createStack, ecrLogin, type Stack } from "../support/stack.ts";
import { writeTinyImage } from "../support/tiny-image.ts";

/** Each client logs in, pushes and pulls as its users do; then a task runs what it pushed. */

let instance: TestInstance;
let stack: Stack;
let folder: string;
let archive: string;
let host: string;
let password: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-registries-"));
  archive = join(folder, "tiny.tar");
  await writeTinyImage(archive, { config: { command: ["echo", "hello from the image"], environment: ["PATH=/bin"] } });
  instance = await startInstance();
  stack = await createStack(instance);
  host = `localhost:${instance.port}`;
  password = (await ecrLogin(stack.ecr)).slice("AWS:".length);
});

afterAll(async () => {
  await removeWithoutTrace(instance);
  await rm(folder, { recursive: true, force: true });
});

async function repository(repositoryName: string): Promise<void> {
  await stack.ecr.send(new CreateRepositoryCommand({ repositoryName }));
}

async function digestOf(repositoryName: string, imageTag: string): Promise<string> {
  const { imageDetails } = await stack.ecr.send(new DescribeImagesCommand({ repositoryName, imageIds: [{ imageTag }] }));
  return imageDetails?.[0]?.imageDigest ?? "";
}

/** Runs a task of an image; answers what it said, and the digest that it ran by ECS's word. */
async function ran(family: string, image: string): Promise<{ readonly said: readonly string[]; readonly digest: string | undefined }> {
  const task = await stack.reach(await stack.start(await stack.define(family, [{ name: "app", image }])), "STOPPED");
  expect(task).toMatchObject({ stopCode: "EssentialContainerExited", containers: [{ exitCode: 0 }] });
  return { said: await stack.lines(task.taskArn ?? "", "app"), digest: task.containers?.[0]?.imageDigest };
}

describe("skopeo", () => {
  test("logs in, pushes and pulls; a task runs the image by tag and by digest", async () => {
    await repository("by-skopeo");
    const authfile = ["--authfile", join(folder, "skopeo.json")];
    await run(["skopeo", "login", ...authfile, "--tls-verify=false", "--username", "AWS", "--password-stdin", host], { stdin: password });
    await run(["skopeo", "copy", "--quiet", ...authfile, "--dest-tls-verify=false", `oci-archive:${archive}`, `docker://${host}/by-skopeo:1`]);
    const digest = await digestOf("by-skopeo", "1");
    await run(["skopeo", "copy", "--quiet", ...authfile, "--src-tls-verify=false", `docker://${host}/by-skopeo@${digest}`, `oci:${folder}/pulled`]);
    expect(await ran("skopeo-tag", `${host}/by-skopeo:1`)).toEqual({ said: ["hello from the image"], digest });
    expect(await ran("skopeo-digest", `${host}/by-skopeo@${digest}`)).toEqual({ said: ["hello from the image"], digest });
  });
});

describe("buildah", () => {
  test("logs in, pushes and pulls; a task runs the image under AWS's name", async () => {
    await repository("team/by-buildah");
    const storage = ["--root", join(folder, "images"), "--runroot", join(folder, "run"), "--storage-driver", "vfs"];
    const auth = ["--authfile", join(folder, "buildah.json"), "--tls-verify=false"];
    const buildah = async (...args: readonly string[]): Promise<string> =>
      (await run(["buildah", ...storage, ...args], { stdin: password, timeoutMs: 60_000 })).stdout.trim();
    await buildah("login", ...auth, "--username", "AWS", "--password-stdin", host);
    const id = await buildah("pull", "--quiet", `oci-archive:${archive}`);
    await buildah("push", "--quiet", ...auth, id, `${host}/team/by-buildah:1`);
    await buildah("rmi", id);
    await buildah("pull", "--quiet", ...auth, `${host}/team/by-buildah:1`);
    const digest = await digestOf("team/by-buildah", "1");
    const name = "100000000000.dkr.ecr.us-east-1.amazonaws.com/team/by-buildah:1";
    expect(await ran("buildah-aws-name", name)).toEqual({ said: ["hello from the image"], digest });
  });
});

describe("docker", () => {
  let daemon: PrivateDocker | undefined;

  beforeAll(async () => {
    await run(["dockerd", "--version"]).catch((cause: unknown) => {
      throw new Error("dockerd is missing: `tools/setup.sh --tests` installs Debian's docker.io", { cause });
    });
    daemon = await startDockerd();
  });

  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
  });

  function docker(args: readonly string[], options: { readonly stdin?: string; readonly okCodes?: readonly number[] } = {}): Promise<RunResult> {
    const environment = { DOCKER_HOST: daemon?.host ?? "", DOCKER_CONFIG: join(folder, "docker-config") };
    return run(["docker", ...args], { ...options, environment, timeoutMs: 60_000 });
  }

  test("logs in with no daemon setting, pushes and pulls; a task runs the image", { timeout: 120_000 }, async () => {
    await repository("by-docker");
    const name = `${host}/by-docker:1`;
    await run(["skopeo", "copy", "--quiet", `oci-archive:${archive}`, `docker-archive:${folder}/docker.tar:${name}`]);
    await docker(["load", "--input", join(folder, "docker.tar")]);
    expect((await docker(["login", "--username", "AWS", "--password-stdin", host], { stdin: password })).stdout).toContain("Login Succeeded");
    await docker(["push", name]);
    const digest = await digestOf("by-docker", "1");
    await docker(["rmi", name]);
    const pulled = await docker(["pull", name]);
    expect(pulled.stdout).toContain(`Digest: ${digest}`);
    expect(await ran("docker", name)).toEqual({ said: ["hello from the image"], digest });
  });

  test("is refused with a wrong password, and told which repository is missing", async () => {
    const refused = await docker(["login", "--username", "AWS", "--password-stdin", host], { stdin: "wrong", okCodes: [1] });
    expect(refused.stderr).toMatch(/401 Unauthorized/);
    await docker(["tag", `${host}/by-docker:1`, `${host}/nobody/made-this:1`]);
    const missing = await docker(["push", `${host}/nobody/made-this:1`], { okCodes: [1] });
    expect(missing.stderr).toMatch(/name unknown: .*nobody\/made-this/);
  });
});
