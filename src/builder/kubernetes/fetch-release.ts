import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { messageOf, Problem } from "../../core/problem.ts";
import { run } from "../../host/run.ts";
import { digestIn, type ReleaseArchive, releaseArchives, RELEASES } from "./releases.ts";

/** Where upstream's archives come from: an address, else from their publishers; `off`: from nowhere, not even where they were fetched before. */
const MIRROR_VARIABLE = "TIDEGATE_KUBERNETES_MIRROR";
const LOOK_TIMEOUT_MS = 5000;
const UNPACK_TIMEOUT_MS = 10 * 60_000;

export interface ReleaseOptions {
  readonly cacheFolder: string;
  /** Default: what {@link MIRROR_VARIABLE} says. */
  readonly mirror?: string;
}

/** Where the programs of the releases are, once they were fetched; `undefined` where they are not to be used. */
export function releaseFolder(options: ReleaseOptions): string | undefined {
  return mirrorOf(options) === "off" ? undefined : folderIn(options.cacheFolder);
}

function folderIn(cacheFolder: string): string {
  return join(cacheFolder, Object.entries(RELEASES).flat().join("-"));
}

/** The host that the archives would come from; `undefined` where it says nothing within five seconds, or is off. */
export async function releaseHost(options: ReleaseOptions): Promise<string | undefined> {
  const [server] = archivesOf(options);
  if (server === undefined) return undefined;
  const answer = await fetch(server.sums.url, { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) }).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.ok === true ? new URL(server.url).host : undefined;
}

/**
 * Downloads upstream's archives, each checked against the digest that its publisher says, and puts their programs into {@link releaseFolder}: all
 * of them, or none. Answers the folder.
 * @throws Problem `unavailable` with the archive and what is the matter with it.
 */
export async function fetchReleases(options: ReleaseOptions & { readonly onStep: (text: string) => void }): Promise<string> {
  const folder = folderIn(options.cacheFolder);
  await mkdir(options.cacheFolder, { recursive: true });
  const draft = await mkdtemp(`${folder}.draft-`);
  try {
    for (const archive of archivesOf(options)) {
      options.onStep(`${archive.name} from ${new URL(archive.url).host}`);
      await fetchArchive(archive, draft);
    }
    await chmod(draft, 0o755);
    // Somebody else's is there already, and the same.
    await rename(draft, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    return folder;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function mirrorOf({ mirror = process.env[MIRROR_VARIABLE] }: ReleaseOptions): string | undefined {
  return mirror === "" ? undefined : mirror;
}

function archivesOf(options: ReleaseOptions): readonly ReleaseArchive[] {
  const mirror = mirrorOf(options);
  if (mirror === "off") return [];
  return releaseArchives({ architecture: process.arch, ...(mirror !== undefined && { mirror }) });
}

async function fetchArchive(archive: ReleaseArchive, folder: string): Promise<void> {
  const path = join(folder, archive.name);
  const digest = digestIn(await (await get(archive.sums.url)).text(), archive);
  if (digest === undefined)
    throw new Problem("unavailable", `${archive.sums.url} does not say the ${archive.sums.algorithm} digest of ${archive.name}`);
  const found = await download(archive, path);
  if (found !== digest) {
    throw new Problem("unavailable", `${archive.url} is refused: its ${archive.sums.algorithm} digest is ${found}, and its publisher says ${digest}`);
  }
  const flags = ["--no-same-owner", "--no-same-permissions", "--transform", "s,.*/,,"];
  await run(["tar", "-xzf", path, "-C", folder, ...flags, ...archive.members], { timeoutMs: UNPACK_TIMEOUT_MS }).catch((cause: unknown) => {
    throw new Problem(
      "unavailable",
      `${archive.url} does not hold ${archive.members.map((each) => basename(each)).join(", ")}: ${messageOf(cause)}`,
      { cause },
    );
  });
  for (const member of archive.members) await chmod(join(folder, basename(member)), 0o755);
  await rm(path);
}

/** Its digest, once it is all there. */
async function download({ url, sums }: ReleaseArchive, path: string): Promise<string> {
  const answer = await get(url);
  const hash = createHash(sums.algorithm);
  const hashed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(undefined, chunk);
    },
  });
  try {
    await pipeline(Readable.fromWeb(answer.body ?? new ReadableStream()), hashed, createWriteStream(path));
  } catch (cause) {
    throw new Problem("unavailable", `${url} broke off: ${messageOf(cause)}`, { cause });
  }
  return hash.digest("hex");
}

async function get(url: string): Promise<Response> {
  const answer = await fetch(url).catch((cause: unknown) => {
    const reason = cause instanceof Error && cause.cause !== undefined ? messageOf(cause.cause) : messageOf(cause);
    throw new Problem("unavailable", `${url} is not reached: ${reason}`, { cause });
  });
  if (answer.ok) return answer;
  await answer.body?.cancel();
  throw new Problem("unavailable", `${url} answers ${answer.status}`);
}
