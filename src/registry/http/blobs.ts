import type { FastifyReply } from "fastify";
import { blobUnknown } from "../images.ts";
import { isDigest } from "../names.ts";
import { RegistryProblem } from "../problems.ts";
import type { BlobLinkRecord } from "../records.ts";
import { isPublic } from "./address.ts";
import { hasAlready, header, type Exchange } from "./exchange.ts";
import { sendFile } from "./send-file.ts";

/** GET, HEAD and DELETE of a blob, with ranges. */
export async function handleBlob(exchange: Exchange, digest: string): Promise<FastifyReply> {
  if (!isDigest(digest)) throw new RegistryProblem("digest-invalid", `${digest} is not a sha256 digest`);
  const { reply, request, repository, rooms } = exchange;
  if (request.method === "DELETE") {
    await rooms.repositories.get(repository);
    await rooms.images.unlinkBlob(repository, digest);
    return reply.code(202).send();
  }
  const held = await rooms.images.holdBlob(repository, digest);
  if (held !== undefined) return sendBlob(exchange, held);
  if (!isPublic(repository)) {
    await rooms.repositories.get(repository);
    throw blobUnknown(repository, digest);
  }
  return sendUpstreamBlob(exchange, digest);
}

async function sendBlob(exchange: Exchange, blob: BlobLinkRecord): Promise<FastifyReply> {
  const { reply, request, rooms } = exchange;
  const { digest, sizeBytes } = blob;
  blobHeaders(reply, digest);
  if (hasAlready(exchange, digest)) return reply.code(304).send();
  const range = rangeOf(header(exchange, "range"), sizeBytes);
  if (range === "unsatisfiable") return reply.code(416).header("content-range", `bytes */${sizeBytes}`).send();
  const length = range === undefined ? sizeBytes : range.end - range.start + 1;
  reply.header("content-length", length);
  if (range !== undefined) reply.code(206).header("content-range", `bytes ${range.start}-${range.end}/${sizeBytes}`);
  if (request.method === "HEAD" || length === 0) return reply.send();
  const file = await rooms.blobs.open(digest);
  void sendFile(reply, file, range ?? { start: 0, end: sizeBytes - 1 });
  return reply;
}

async function sendUpstreamBlob(exchange: Exchange, digest: string): Promise<FastifyReply> {
  const { reply, request, rooms, repository } = exchange;
  // Whoever pushes asks so whether the blob must be sent: what is not kept here must. Whoever pulls GETs.
  if (request.method === "HEAD") throw new RegistryProblem("blob-unknown", `the blob ${digest} is not kept here`);
  if (header(exchange, "range") !== undefined) {
    return sendBlob(exchange, await rooms.pullThrough.ensureBlob(repository, digest));
  }
  const { content, sizeBytes } = await rooms.pullThrough.streamBlob(repository, digest);
  blobHeaders(reply, digest);
  if (sizeBytes !== undefined) reply.header("content-length", sizeBytes);
  return reply.send(content);
}

function blobHeaders(reply: FastifyReply, digest: string): void {
  reply
    .header("docker-content-digest", digest)
    .header("content-type", "application/octet-stream")
    .header("accept-ranges", "bytes")
    .header("etag", `"${digest}"`)
    .header("cache-control", "max-age=31536000");
}

/** The one range a request asks for, inclusive; none when there is no such header, or it asks for several. */
export function rangeOf(text: string | undefined, sizeBytes: number): { readonly start: number; readonly end: number } | "unsatisfiable" | undefined {
  const match = text === undefined ? null : /^bytes=(\d*)-(\d*)$/.exec(text.trim());
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? "unsatisfiable" : { start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= sizeBytes ? "unsatisfiable" : { start, end };
}
