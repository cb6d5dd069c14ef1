import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Problem } from "../../core/problem.ts";
import { mustHaveRoom, tellingFullDisk } from "../../host/disk-guard.ts";
import { readTextIfAny } from "../../host/files.ts";
import { run } from "../../host/run.ts";
import type { RegistryAccess } from "../builder.ts";
import { PUBLIC_PREFIX } from "../public-names.ts";
import { pushImage } from "./push-image.ts";
import { type Layer, packFolder, packTar } from "./tar-layer.ts";

const SUITE = "bookworm";
const CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
/** What it takes for a while: trees, tars and layers (400 MiB), and the registry's copies. */
const ROOM_BYTES = 512 * 1024 * 1024;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The official image's entry point does the same: an argument that is no program is an argument to node. */
const ENTRY_POINT = `#!/bin/sh
set -e
if [ "\${1#-}" != "\${1}" ] || [ -z "$(command -v "\${1}")" ] || { [ -f "\${1}" ] && ! [ -x "\${1}" ]; }; then
  set -- node "$@"
fi
exec "$@"
`;

export interface SeedOptions {
  readonly registry: RegistryAccess;
  /** Temporary files go here. */
  readonly stateFolder: string;
  readonly createdAt: string;
  /** Called when each step begins, with what it does. */
  readonly onStep: (text: string) => void;
}

export interface SeededImage {
  /** e.g. `docker.io/library/node`. */
  readonly name: string;
  readonly tags: readonly string[];
  readonly digest: string;
}

/**
 * Makes a Node base image from what the machine can have without an image registry, and stores it under the public names: Debian's essential
 * packages with apt, adduser and certificates (by mmdebstrap from the machine's Debian mirror), the npm package `node`, npm itself, the
 * `node` user (1000:1000) and the official entry point's behaviour. It has no compilers, git, python or yarn.
 * @throws Problem `unavailable` when mmdebstrap is missing or the Debian mirror cannot be reached; `exhausted` when the disk has no room for it.
 */
export async function seedNode(options: SeedOptions): Promise<readonly SeededImage[]> {
  const what = "the base image cannot be made";
  await mustHaveRoom(what, options.stateFolder, ROOM_BYTES);
  return tellingFullDisk(what, options.stateFolder, async () => {
    await mkdir(options.stateFolder, { recursive: true });
    const folder = await mkdtemp(join(options.stateFolder, "seed-"));
    try {
      return await makeAndPush(folder, options);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

async function makeAndPush(folder: string, options: SeedOptions): Promise<readonly SeededImage[]> {
  options.onStep(`Debian ${SUITE}, essential packages (mmdebstrap); Node and npm beside it`);
  const [debian, node] = await bothOrNeither(debianLayer(folder), nodeLayer(folder));
  const user = await userLayer(folder, debian.tarPath);
  const version = process.versions.node;
  const tags = nodeTags(version);
  options.onStep(`push to ${PUBLIC_PREFIX}/docker.io/library`);
  const environment = [`PATH=${PATH}`];
  const debianTags = [`${SUITE}-slim`, SUITE, "12-slim", "12", "stable-slim"];
  const debianConfig = { environment, command: ["bash"], createdAt: options.createdAt };
  const debianDigest = await pushImage(options.registry, {
    repository: `${PUBLIC_PREFIX}/docker.io/library/debian`,
    tags: debianTags,
    layers: [debian.layer],
    config: debianConfig,
  });
  const config = {
    environment: [...environment, `NODE_VERSION=${version}`, `NODE_EXTRA_CA_CERTS=${CA_BUNDLE}`],
    entryPoint: ["docker-entrypoint.sh"],
    command: ["node"],
    createdAt: options.createdAt,
  };
  const digest = await pushImage(options.registry, {
    repository: `${PUBLIC_PREFIX}/docker.io/library/node`,
    tags,
    layers: [debian.layer, node, user],
    // Pushed to that repository a moment ago.
    mountFrom: `${PUBLIC_PREFIX}/docker.io/library/debian`,
    config,
  });
  return [
    { name: "docker.io/library/node", tags, digest },
    { name: "docker.io/library/debian", tags: debianTags, digest: debianDigest },
  ];
}

/** The tags that the public image of this version has and that this image can stand for. Pure. */
export function nodeTags(version: string): readonly string[] {
  const [major = "", minor = ""] = version.split(".");
  const versions = [version, `${major}.${minor}`, major, "lts", "current", "latest"];
  return versions.flatMap((name) =>
    name === "latest" ? ["latest", "slim", `${SUITE}-slim`, SUITE] : [name, `${name}-slim`, `${name}-${SUITE}-slim`, `${name}-${SUITE}`],
  );
}

/** Waits for both even when one fails, so that nothing writes into a folder that is being removed. */
async function bothOrNeither<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}

async function debianLayer(folder: string): Promise<{ readonly layer: Layer; readonly tarPath: string }> {
  const tarPath = join(folder, "debian.tar");
  const excluded = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*"];
  const options = [...excluded.map((path) => `--dpkgopt=path-exclude=${path}`), "--dpkgopt=path-include=/usr/share/doc/*/copyright"];
  // Nobody needs this tree after a crash: no fsync a file, no translated descriptions.
  options.push('--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io");
  const include = "--include=ca-certificates,adduser,netbase,tzdata,libatomic1,libstdc++6";
  // When its disk is full it sends SIGHUP to its whole process group, which else would be the command line's.
  await run(["setsid", "mmdebstrap", "--quiet", "--variant=apt", "--mode=root", include, ...options, SUITE, tarPath], { timeoutMs: 600_000 }).catch(
    (cause: unknown) => {
      const words = cause instanceof Error ? cause.message : String(cause);
      throw new Problem(
        "unavailable",
        `cannot make a Debian base image: ${words}\nIt needs mmdebstrap (\`apt-get install mmdebstrap\`) and a Debian mirror.`,
        { cause },
      );
    },
  );
  return { layer: await packTar(tarPath, join(folder, "debian.tar.gz")), tarPath };
}

async function nodeLayer(folder: string): Promise<Layer> {
  const root = join(folder, "node");
  const require = createRequire(import.meta.url);
  const bin = join(root, "usr/local/bin");
  const modules = join(root, "usr/local/lib/node_modules");
  await mkdir(bin, { recursive: true });
  await mkdir(modules, { recursive: true });
  await cp(process.execPath, join(bin, "node"));
  await chmod(join(bin, "node"), 0o755);
  await cp(dirname(require.resolve("npm/package.json")), join(modules, "npm"), { recursive: true });
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(bin, "npm"));
  await symlink("../lib/node_modules/npm/bin/npx-cli.js", join(bin, "npx"));
  await symlink("node", join(bin, "nodejs"));
  await writeFile(join(bin, "docker-entrypoint.sh"), ENTRY_POINT);
  await chmod(join(bin, "docker-entrypoint.sh"), 0o755);
  await addCertificates(root);
  return packFolder(root, join(folder, "node.tar.gz"));
}

/** The `node` user beside Debian's own. */
async function userLayer(folder: string, debianTar: string): Promise<Layer> {
  const root = join(folder, "user");
  await mkdir(root, { recursive: true });
  const lines: Readonly<Record<string, string>> = {
    "etc/passwd": "node:x:1000:1000::/home/node:/bin/bash\n",
    "etc/group": "node:x:1000:\n",
    "etc/shadow": "node:!:19000:0:99999:7:::\n",
    "etc/gshadow": "node:!::\n",
  };
  await run(["tar", "--extract", "--file", debianTar, "--directory", root, ...Object.keys(lines).map((path) => `./${path}`)]);
  for (const [path, line] of Object.entries(lines)) await writeFile(join(root, path), (await readFile(join(root, path), "utf8")) + line);
  await mkdir(join(root, "home/node"), { recursive: true });
  await run(["chown", "1000:1000", join(root, "home/node")]);
  return packFolder(root, join(folder, "user.tar.gz"));
}

/** The machine's own bundle, so that builds behind a company proxy work as the machine does. */
async function addCertificates(root: string): Promise<void> {
  const bundle = await readTextIfAny(CA_BUNDLE);
  if (bundle === undefined) return;
  await mkdir(join(root, dirname(CA_BUNDLE)), { recursive: true });
  await writeFile(join(root, CA_BUNDLE), bundle);
}
