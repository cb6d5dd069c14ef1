/** Unmodified clients against gateway, ECR and registry: aws, skopeo, buildah, containerd. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/host/run.ts";
import { startEcr, type TestEcr } from "./ecr-instance.ts";
import { writeLayout } from "./layout.ts";

const MIB = 1024 * 1024;
const ECR_HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

let server: TestEcr;
let work: string;
let password: string;
let digest: string;

beforeAll(async () => {
  server = await startEcr();
  work = await mkdtemp(join(tmpdir(), "tidegate-clients-"));
  ({ digest } = await writeLayout(join(work, "layout"), [3 * MIB, 100_000]));
  await aws("ecr", "create-repository", "--repository-name", "team/app");
  password = (await aws("ecr", "get-login-password")).trim();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(work, { recursive: true, force: true });
});

async function aws(...args: readonly string[]): Promise<string> {
  const endpoint = server.environment["AWS_ENDPOINT_URL"] ?? "";
  return (await run(["aws", "--endpoint-url", endpoint, "--output", "json", ...args], { environment: server.environment, timeoutMs: 60_000 })).stdout;
}

describe("skopeo", () => {
  it("logs in with aws ecr get-login-password, pushes, looks and pulls", async () => {
    const host = `localhost:${server.port}`;
    const authfile = join(work, "auth.json");
    await run(["skopeo", "login", "--tls-verify=false", "--authfile", authfile, "-u", "AWS", "--password-stdin", host], { stdin: password });
    const image = `docker://${host}/team/app:v1`;
    await run(["skopeo", "copy", "--dest-tls-verify=false", "--authfile", authfile, `oci:${work}/layout:v1`, image]);
    const inspected = JSON.parse((await run(["skopeo", "inspect", "--tls-verify=false", "--authfile", authfile, image])).stdout) as {
      Digest: string;
    };
    expect(inspected.Digest).toBe(digest);
    await run(["skopeo", "copy", "--src-tls-verify=false", "--authfile", authfile, image, `dir:${work}/pulled`]);
    const manifest = JSON.parse(await readFile(join(work, "pulled", "manifest.json"), "utf8")) as { layers: { digest: string; size: number }[] };
    for (const layer of manifest.layers) {
      const [pulled, pushed] = await Promise.all([
        readFile(join(work, "pulled", layer.digest.slice(7))),
        readFile(join(work, "layout", "blobs", "sha256", layer.digest.slice(7))),
      ]);
      expect(pulled.equals(pushed)).toBe(true);
    }
    const { imageDetails } = JSON.parse(await aws("ecr", "describe-images", "--repository-name", "team/app")) as { imageDetails: unknown[] };
    expect(imageDetails).toMatchObject([{ imageDigest: digest, imageTags: ["v1"], lastRecordedPullTime: expect.anything() }]);
  });

  it("is refused with a wrong password, and told why a repository is missing", async () => {
    const host = `localhost:${server.port}`;
    const login = run(["skopeo", "login", "--tls-verify=false", "--authfile", join(work, "none.json"), "-u", "AWS", "-p", "wrong", host]);
    await expect(login).rejects.toThrow(/invalid username\/password|401|unauthorized/i);
    const push = run([
      "skopeo",
      "copy",
      "--dest-tls-verify=false",
      "--dest-creds",
      `AWS:${password}`,
      `oci:${work}/layout:v1`,
      `docker://${host}/nowhere:v1`,
    ]);
    await expect(push).rejects.toThrow("The repository with name 'nowhere' does not exist in the registry with id '123456789012'");
  });

  it("pushes a public image under the reserved prefix", async () => {
    const image = `docker://localhost:${server.port}/tidegate-public/docker.io/library/node:26-slim`;
    await run(["skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", `AWS:${password}`, `oci:${work}/layout:v1`, image]);
    expect(await server.registry.listPublicImages()).toMatchObject([{ image: "docker.io/library/node:26-slim", digest }]);
  });
});

describe("buildah", () => {
  it("pushes what it holds, and builds from a seeded public image through a mirror", async () => {
    const storage = ["--root", join(work, "storage"), "--runroot", join(work, "runroot"), "--storage-driver", "vfs"];
    const mirror = `[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "localhost:${server.port}/tidegate-public/docker.io"\ninsecure = true\n`;
    await writeFile(join(work, "registries.conf"), `unqualified-search-registries = ["docker.io"]\n${mirror}`);
    const environment = { CONTAINERS_REGISTRIES_CONF: join(work, "registries.conf"), REGISTRY_AUTH_FILE: join(work, "buildah-auth.json") };
    const buildah = async (...args: readonly string[]): Promise<string> =>
      (await run(["buildah", ...storage, ...args], { environment, timeoutMs: 120_000 })).stdout.trim();
    const host = `localhost:${server.port}`;
    await run(["buildah", "login", "--tls-verify=false", "-u", "AWS", "--password-stdin", host], { environment, stdin: password });
    const container = await buildah("from", "node:26-slim");
    await buildah("config", "--env", "MADE=here", container);
    const image = await buildah("commit", "--quiet", container);
    await buildah("push", "--tls-verify=false", image, `docker://${host}/team/app:built`);
    const listed = await aws("ecr", "list-images", "--repository-name", "team/app", "--filter", "tagStatus=TAGGED", "--query", "imageIds[].imageTag");
    expect(JSON.parse(listed)).toContain("built");
    await buildah("rmi", "--all", "--force");
  });
});

describe("containerd", () => {
  it("pulls own repositories under AWS's names and public ones, through _default/hosts.toml", async () => {
    await using containerd = await startContainerd(join(work, "containerd"));
    const hosts = join(work, "hosts");
    await mkdir(join(hosts, "_default"), { recursive: true });
    const target = `http://127.0.0.1:${server.port}`;
    await writeFile(join(hosts, "_default", "hosts.toml"), `server = "${target}"\n[host."${target}"]\ncapabilities = ["pull", "resolve"]\n`);
    const push = `docker://localhost:${server.port}/team/app:v2`;
    await run(["skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", `AWS:${password}`, `oci:${work}/layout:v1`, push]);
    const ctr = (...args: readonly string[]): Promise<{ readonly stdout: string }> =>
      run(["ctr", "--address", containerd.socket, ...args], { timeoutMs: 60_000 });
    for (const image of [`${ECR_HOST}/team/app:v2`, `localhost:${server.port}/team/app:v2`, "docker.io/library/node:26-slim"]) {
      await ctr("content", "fetch", "--hosts-dir", hosts, "--user", `AWS:${password}`, image);
    }
    expect((await ctr("images", "ls")).stdout.match(new RegExp(digest, "g"))).toHaveLength(3);
    await expect(ctr("content", "fetch", "--hosts-dir", hosts, "--user", `AWS:${password}`, `${ECR_HOST}/team/app:none`)).rejects.toThrow(
      /not found/,
    );
  });
});

async function startContainerd(folder: string): Promise<AsyncDisposable & { readonly socket: string }> {
  await mkdir(folder, { recursive: true });
  const socket = join(folder, "c.sock");
  const disabled = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs",
  ];
  const config = `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ${JSON.stringify(disabled)}\n[grpc]\naddress = "${socket}"\n[ttrpc]\naddress = "${folder}/t.sock"\n`;
  await writeFile(join(folder, "config.toml"), config);
  const child = spawn("containerd", ["--config", join(folder, "config.toml"), "--log-level", "error"], { stdio: "ignore" });
  const ended = once(child, "exit");
  await expect
    .poll(
      () =>
        run(["ctr", "--address", socket, "version"], { timeoutMs: 5_000 }).then(
          () => true,
          () => false,
        ),
      { timeout: 30_000 },
    )
    .toBe(true);
  return {
    socket,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
