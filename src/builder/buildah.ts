import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { explainBaseImage } from "./base-image.ts";
import { tellingFullDisk } from "../host/disk-guard.ts";
import { run } from "../host/run.ts";
import type { Builder, BuildRequest } from "./builder.ts";
import { PUBLIC_PREFIX } from "./public-names.ts";
import { streamCommand } from "./stream-command.ts";

/** Buildah, with storage of its own under the request's state folder, so that nothing of the user's is touched. Needs root. */
export async function findBuildah(): Promise<Builder | undefined> {
  const version = await run(["buildah", "--version"]).catch(() => undefined);
  if (version === undefined) return undefined;
  return {
    name: "buildah",
    version: `buildah ${/version (\S+)/.exec(version.stdout)?.[1] ?? "of unknown version"}`,
    build: (request) =>
      tellingFullDisk("the image cannot be built, and nothing that runs was changed", request.stateFolder, () => buildAndPush(request)),
  };
}

async function buildAndPush(request: BuildRequest): Promise<{ readonly digest: string }> {
  await mkdir(request.stateFolder, { recursive: true });
  const folder = await mkdtemp(join(request.stateFolder, "build-"));
  try {
    const files = await writeSettings(folder, request);
    const base = ["buildah", "--root", join(request.stateFolder, "buildah"), "--runroot", join(request.stateFolder, "buildah-run")];
    const environment = { CONTAINERS_REGISTRIES_CONF: files.registries, REGISTRY_AUTH_FILE: files.auth, TMPDIR: folder, BUILDAH_ISOLATION: "chroot" };
    const stream = { environment, onLine: request.onLine, signal: request.signal };
    await streamCommand([...base, ...buildArguments(request), request.contextFolder], { ...stream, name: "buildah build" }).catch((error: unknown) =>
      explainBaseImage(error, request.registry.host),
    );
    const digestFile = join(folder, "digest");
    await streamCommand([...base, "push", "--tls-verify=false", "--digestfile", digestFile, request.image], { ...stream, name: "buildah push" });
    return { digest: (await readFile(digestFile, "utf8")).trim() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The command line of `buildah build`, without the context. Pure. */
export function buildArguments(request: BuildRequest): readonly string[] {
  const args = [
    "build",
    "--layers",
    "--network",
    "host",
    "--tls-verify=false",
    // OCI's configuration has no SHELL: buildah would forget it before the next RUN.
    "--format",
    "docker",
    "--force-rm",
    "--file",
    request.dockerfile,
    "--tag",
    request.image,
  ];
  for (const [name, value] of Object.entries(request.buildArguments)) args.push("--build-arg", `${name}=${value}`);
  for (const [id, file] of Object.entries(request.buildSecrets)) args.push("--secret", `id=${id},src=${file}`);
  if (request.target !== undefined) args.push("--target", request.target);
  if (request.caBundle !== undefined) args.push("--volume", `${request.caBundle}:/etc/ssl/certs/ca-certificates.crt:ro`);
  return args;
}

async function writeSettings(folder: string, request: BuildRequest): Promise<{ readonly registries: string; readonly auth: string }> {
  const registries = join(folder, "registries.conf");
  const auth = join(folder, "auth.json");
  await writeFile(registries, registriesConf(request));
  const token = Buffer.from(`${request.registry.username}:${request.registry.password}`).toString("base64");
  await writeFile(auth, JSON.stringify({ auths: { [request.registry.host]: { auth: token } } }), { mode: 0o600 });
  return { registries, auth };
}

/** The registries that the seeded public images come from are mirrored by Tidegate's, which also fetches what it does not have. Pure. */
export function registriesConf(request: Pick<BuildRequest, "registry" | "publicImages">): string {
  const hosts = new Set(["docker.io", ...request.publicImages.map((name) => name.split("/")[0] ?? "")]);
  const mirrors = [...hosts].map((host) =>
    [
      "[[registry]]",
      `prefix = "${host}"`,
      `location = "${host}"`,
      "[[registry.mirror]]",
      `location = "${request.registry.host}/${PUBLIC_PREFIX}/${host}"`,
      "insecure = true",
    ].join("\n"),
  );
  const own = ["[[registry]]", `location = "${request.registry.host}"`, "insecure = true"].join("\n");
  return [`unqualified-search-registries = ["docker.io"]`, `short-name-mode = "permissive"`, own, ...mirrors].join("\n\n") + "\n";
}
