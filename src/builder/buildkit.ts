import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Problem } from "../core/problem.ts";
import { run } from "../host/run.ts";
import { explainBaseImage } from "./base-image.ts";
import type { Builder, BuildRequest } from "./builder.ts";
import { publicImageReference, shortNames } from "./public-names.ts";
import { streamCommand } from "./stream-command.ts";

/** A buildkitd that `buildctl` reaches (BUILDKIT_HOST, or its default socket). */
export async function findBuildKit(): Promise<Builder | undefined> {
  const workers = await run(["buildctl", "debug", "workers"], { timeoutMs: 5000 }).catch(() => undefined);
  if (workers === undefined) return undefined;
  const version = await run(["buildctl", "--version"]);
  return { name: "buildkit", version: `buildkit ${/v?(\d+\.\d+\.\d+\S*)/.exec(version.stdout)?.[1] ?? "of unknown version"}`, build };
}

async function build(request: BuildRequest): Promise<{ readonly digest: string }> {
  if (request.caBundle !== undefined)
    throw new Problem("unsupported", "builds with --trust-host-ca need buildah: BuildKit cannot mount a file into every RUN step");
  await mkdir(request.stateFolder, { recursive: true });
  const folder = await mkdtemp(join(request.stateFolder, "build-"));
  try {
    const token = Buffer.from(`${request.registry.username}:${request.registry.password}`).toString("base64");
    await writeFile(join(folder, "config.json"), JSON.stringify({ auths: { [request.registry.host]: { auth: token } } }), { mode: 0o600 });
    const metadata = join(folder, "metadata.json");
    await streamCommand(["buildctl", ...buildArguments(request), "--metadata-file", metadata], {
      environment: { DOCKER_CONFIG: folder },
      onLine: request.onLine,
      name: "buildctl build",
      signal: request.signal,
    }).catch((error: unknown) => explainBaseImage(error, request.registry.host));
    const digest = (JSON.parse(await readFile(metadata, "utf8")) as Record<string, unknown>)["containerimage.digest"];
    if (typeof digest !== "string") throw new Problem("unavailable", `buildctl said no digest for ${request.image}`);
    return { digest };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The command line of `buildctl build`. Seeded base images are given as named contexts, so nothing is pulled from elsewhere. Pure. */
export function buildArguments(request: BuildRequest): readonly string[] {
  const args = ["build", "--progress", "plain", "--frontend", "dockerfile.v0", "--allow", "network.host", "--opt", "force-network-mode=host"];
  args.push("--local", `context=${request.contextFolder}`, "--local", `dockerfile=${dirname(request.dockerfile)}`);
  args.push("--opt", `filename=${basename(request.dockerfile)}`);
  // The daemon's own frontend: an official `# syntax=` line would pull it from a registry.
  args.push("--opt", "build-arg:BUILDKIT_SYNTAX=");
  for (const image of request.publicImages) {
    for (const name of shortNames(image)) {
      args.push("--opt", `context:${name}=docker-image://${publicImageReference(request.registry.host, image)}`);
    }
  }
  for (const [name, value] of Object.entries(request.buildArguments)) args.push("--opt", `build-arg:${name}=${value}`);
  for (const [id, file] of Object.entries(request.buildSecrets)) args.push("--secret", `id=${id},src=${file}`);
  if (request.target !== undefined) args.push("--opt", `target=${request.target}`);
  args.push("--output", `type=image,name=${request.image},push=true,registry.insecure=true`);
  return args;
}
