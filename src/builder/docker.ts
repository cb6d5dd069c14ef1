import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "../core/problem.ts";
import { run } from "../host/run.ts";
import { explainBaseImage } from "./base-image.ts";
import type { Builder, BuildRequest } from "./builder.ts";
import { publicImageReference, shortNames } from "./public-names.ts";
import { streamCommand } from "./stream-command.ts";

/** A Docker engine that answers. Uses BuildKit inside it where the client can (buildx, or a client before 23), else the classic builder. */
export async function findDocker(): Promise<Builder | undefined> {
  const version = await run(["docker", "version", "--format", "{{.Server.Version}}"], { timeoutMs: 10_000 }).catch(() => undefined);
  if (version === undefined) return undefined;
  return { name: "docker", version: `docker ${version.stdout.trim()}`, build };
}

async function build(request: BuildRequest): Promise<{ readonly digest: string }> {
  if (request.caBundle !== undefined)
    throw new Problem("unsupported", "builds with --trust-host-ca need buildah: docker cannot mount a file into every RUN step");
  await mkdir(request.stateFolder, { recursive: true });
  const folder = await mkdtemp(join(request.stateFolder, "build-"));
  try {
    const token = Buffer.from(`${request.registry.username}:${request.registry.password}`).toString("base64");
    await writeFile(join(folder, "config.json"), JSON.stringify({ auths: { [request.registry.host]: { auth: token } } }), { mode: 0o600 });
    const dockerfile = await readFile(request.dockerfile, "utf8");
    const buildKit = await canBuildKit();
    if (!buildKit && Object.keys(request.buildSecrets).length > 0) {
      throw new Problem("unsupported", "build secrets need BuildKit: install docker-buildx-plugin, or buildah");
    }
    // Client plugins (buildx) are looked for in the user's own configuration folder too, so only pushes and pulls get ours.
    const withAuth = { DOCKER_CONFIG: folder };
    await fetchPublicImages(request, withArguments(dockerfile, request.buildArguments), withAuth);
    await streamCommand(["docker", ...buildArguments(request), "--file", "-", request.contextFolder], {
      environment: { DOCKER_BUILDKIT: buildKit ? "1" : "0", BUILDKIT_PROGRESS: "plain" },
      stdin: withoutOfficialSyntaxLine(dockerfile),
      onLine: request.onLine,
      signal: request.signal,
    }).catch((error: unknown) => explainBaseImage(error, request.registry.host));
    let digest: string | undefined;
    await streamCommand(["docker", "push", request.image], {
      environment: withAuth,
      onLine: (line) => {
        digest = /digest: (sha256:[0-9a-f]{64})/.exec(line)?.[1] ?? digest;
        request.onLine(line);
      },
    });
    if (digest === undefined) throw new Problem("unavailable", `docker push ${request.image} said no digest`);
    return { digest };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The command line of `docker build`, without the Dockerfile and the context. Pure. */
export function buildArguments(request: BuildRequest): readonly string[] {
  const args = ["build", "--network", "host", "--tag", request.image];
  for (const [name, value] of Object.entries(request.buildArguments)) args.push("--build-arg", `${name}=${value}`);
  for (const [id, file] of Object.entries(request.buildSecrets)) args.push("--secret", `id=${id},src=${file}`);
  if (request.target !== undefined) args.push("--target", request.target);
  return args;
}

/** `# syntax=docker/dockerfile:1` would pull the frontend from a registry; the engine's own serves, so the line goes. Others stay. Pure. */
export function withoutOfficialSyntaxLine(dockerfile: string): string {
  return dockerfile.replace(/^(?:#\s*syntax\s*=\s*(?:docker\.io\/)?docker\/dockerfile(?::1[\w.-]*)?\s*(?:\n|$))/i, "#\n");
}

/** A Dockerfile's text with its build arguments put in, well enough to see which images it names. Pure. */
export function withArguments(dockerfile: string, given: Readonly<Record<string, string>>): string {
  const values = new Map<string, string>();
  for (const [, name = "", quoted = ""] of dockerfile.matchAll(/^[ \t]*ARG[ \t]+(\w+)=(\S+)/gim))
    values.set(name, quoted.replace(/^(["'])(.*)\1$/, "$2"));
  for (const [name, value] of Object.entries(given)) values.set(name, value);
  return dockerfile.replaceAll(/\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})/g, (whole, plain?: string, braced?: string, fallback?: string) => {
    return values.get(plain ?? braced ?? "") ?? fallback ?? whole;
  });
}

async function canBuildKit(): Promise<boolean> {
  const buildx = await run(["docker", "buildx", "version"], { timeoutMs: 10_000 }).catch(() => undefined);
  if (buildx !== undefined) return true;
  const client = await run(["docker", "version", "--format", "{{.Client.Version}}"]);
  return Number.parseInt(client.stdout, 10) < 23;
}

/** Docker has no per-build mirrors: seeded images that the Dockerfile names, and the engine does not have, are pulled from ours and tagged. */
async function fetchPublicImages(request: BuildRequest, dockerfile: string, environment: Readonly<Record<string, string>>): Promise<void> {
  for (const image of request.publicImages) {
    const mentioned = shortNames(image).some((name) => new RegExp(`(^|[\\s=])${RegExp.escape(name)}($|[\\s@])`, "m").test(dockerfile));
    if (!mentioned) continue;
    const present = await run(["docker", "image", "inspect", image], { okCodes: [0, 1] });
    if (present.code === 0) continue;
    const reference = publicImageReference(request.registry.host, image);
    await streamCommand(["docker", "pull", reference], { environment, onLine: request.onLine });
    await run(["docker", "tag", reference, image]);
  }
}
