import { createHash } from "node:crypto";
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { messageOf, Problem } from "../../../core/problem.ts";
import { makeFolder, replaceFile } from "../../../host/files.ts";
import { SOCKET } from "./etcd-folder.ts";

/** etcd ends a snapshot with the SHA-256 of the database before it. */
const DIGEST_BYTES = 32;
const PAGE_BYTES = 512;
const SILENCE_MS = 60_000;
const DRAFT = ".draft";

export interface SnapshotRequest {
  /** etcd's volume, on the host. */
  readonly volume: string;
  /** Made where it is not there. */
  readonly folder: string;
  readonly name: string;
}

/**
 * Takes a snapshot by etcd's own Maintenance API, while it serves: consistent at one revision, and checked by the digest that etcd sends. The file
 * appears whole or not at all. Answers its size. One at a time for each folder.
 * @throws Problem `unavailable` when etcd does not answer, or what it sent is not whole.
 */
export async function takeSnapshot({ volume, folder, name }: SnapshotRequest): Promise<number> {
  await makeFolder(folder, { mode: 0o700 });
  // A kill leaves one behind, as large as the database.
  for (const left of await readdir(folder)) if (left.endsWith(DRAFT)) await rm(join(folder, left), { force: true });
  const draft = join(folder, `.${name}${DRAFT}`);
  try {
    const sizeBytes = await fetchSnapshot(volume, draft);
    await replaceFile(draft, join(folder, name));
    return sizeBytes;
  } catch (cause) {
    await rm(draft, { force: true });
    throw new Problem("unavailable", `etcd gave no snapshot: ${messageOf(cause)}`, { cause });
  }
}

async function fetchSnapshot(volume: string, draft: string): Promise<number> {
  // A socket's path may not be longer than 107 bytes; by an open folder it is short.
  const opened = await open(volume);
  try {
    const answer = await post(`/proc/self/fd/${opened.fd}/${SOCKET}`, "/v3/maintenance/snapshot");
    const file = await open(draft, "w", 0o600);
    try {
      return await store(answer, file);
    } finally {
      await file.close();
    }
  } finally {
    await opened.close();
  }
}

function post(socketPath: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: "POST", timeout: SILENCE_MS, headers: { "content-type": "application/json" } });
    sent.on("timeout", () => sent.destroy(new Error(`it was silent for ${SILENCE_MS / 1000} s`)));
    sent.on("error", reject);
    sent.on("response", (response) => {
      if (response.statusCode === 200) return resolve(response);
      response.destroy();
      reject(new Error(`it answered ${response.statusCode}`));
    });
    sent.end("{}");
  });
}

interface Piece {
  readonly result?: { readonly blob?: string };
  readonly error?: { readonly message?: string };
}

/** One JSON object a line, with some KiB each. */
async function store(answer: IncomingMessage, file: FileHandle): Promise<number> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let tail = Buffer.alloc(0);
  for await (const line of createInterface({ input: answer, crlfDelay: Infinity })) {
    if (line === "") continue;
    const { result, error } = JSON.parse(line) as Piece;
    if (error !== undefined) throw new Error(error.message ?? "it failed in the middle");
    const bytes = Buffer.from(result?.blob ?? "", "base64");
    await file.write(bytes);
    sizeBytes += bytes.length;
    const all = Buffer.concat([tail, bytes]);
    const known = Math.max(0, all.length - DIGEST_BYTES);
    hash.update(all.subarray(0, known));
    tail = all.subarray(known);
  }
  const isWhole = answer.complete && sizeBytes > DIGEST_BYTES && (sizeBytes - DIGEST_BYTES) % PAGE_BYTES === 0;
  if (!isWhole || !hash.digest().equals(tail)) throw new Error(`the ${sizeBytes} bytes that came are no whole snapshot`);
  await file.sync();
  return sizeBytes;
}
