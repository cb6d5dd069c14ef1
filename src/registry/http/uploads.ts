import type { FastifyReply } from "fastify";
import { isDigest } from "../names.ts";
import { RegistryProblem } from "../problems.ts";
import type { PartClaim } from "../uploads.ts";
import { repositoryOf } from "./address.ts";
import { bodyOf, header, locationOf, type Exchange } from "./exchange.ts";

/** POST: start an upload, mount a blob of another repository, or push a whole blob at once. */
export async function handleUploads(exchange: Exchange): Promise<FastifyReply> {
  const { request, rooms, repository, url } = exchange;
  if (request.method !== "POST") throw new RegistryProblem("unsupported", "The operation is unsupported.");
  await rooms.repositories.getForPush(repository);
  const digest = url.searchParams.get("digest");
  if (digest !== null) return pushAtOnce(exchange, digest);
  if (await mounted(exchange)) return created(exchange, url.searchParams.get("mount") ?? "");
  return accepted(exchange, await rooms.uploads.start(repository), { received: 0, status: 202 });
}

async function pushAtOnce(exchange: Exchange, digest: string): Promise<FastifyReply> {
  if (!isDigest(digest)) throw new RegistryProblem("digest-invalid", `${digest} is not a sha256 digest`);
  const { uploads } = exchange.rooms;
  const id = await uploads.start(exchange.repository);
  try {
    await uploads.append(exchange.repository, id, { content: bodyOf(exchange) });
    await uploads.complete(exchange.repository, id, digest);
  } catch (error) {
    // Nobody knows its id, so nobody could go on with it.
    await uploads.cancel(exchange.repository, id).catch(() => {});
    throw error;
  }
  return created(exchange, digest);
}

/** Differs: ECR mounts only when the account setting BLOB_MOUNTING is on. */
async function mounted(exchange: Exchange): Promise<boolean> {
  const digest = exchange.url.searchParams.get("mount");
  const from = exchange.url.searchParams.get("from");
  if (digest === null || from === null || !isDigest(digest)) return false;
  const { rooms, repository, addressing } = exchange;
  return (await rooms.images.mountBlob(repository, repositoryOf(from, addressing), digest)) !== undefined;
}

/** GET (how far it is), PATCH (go on), PUT (the last part, or nothing, and the digest) and DELETE of an upload. */
export async function handleUpload(exchange: Exchange, id: string): Promise<FastifyReply> {
  const { request, reply, rooms, repository } = exchange;
  switch (request.method) {
    case "GET":
    case "HEAD":
      return accepted(exchange, id, { received: await rooms.uploads.offset(repository, id), status: 204 });
    case "PATCH": {
      const claim = claimOf(exchange);
      return accepted(exchange, id, { received: await rooms.uploads.append(repository, id, { content: bodyOf(exchange), claim }), status: 202 });
    }
    case "PUT":
      return finish(exchange, id);
    case "DELETE":
      await rooms.uploads.cancel(repository, id);
      return reply.code(204).send();
    default:
      throw new RegistryProblem("unsupported", "The operation is unsupported.");
  }
}

async function finish(exchange: Exchange, id: string): Promise<FastifyReply> {
  const { rooms, repository, url } = exchange;
  const digest = url.searchParams.get("digest") ?? "";
  if (!isDigest(digest)) throw new RegistryProblem("digest-invalid", `'${digest}' is not a sha256 digest; PUT needs ?digest=sha256:<64 hex>`);
  if (hasBody(exchange)) await rooms.uploads.append(repository, id, { content: bodyOf(exchange), claim: claimOf(exchange) });
  await rooms.uploads.complete(repository, id, digest);
  return created(exchange, digest);
}

function hasBody(exchange: Exchange): boolean {
  return header(exchange, "transfer-encoding") !== undefined || Number(header(exchange, "content-length") ?? 0) > 0;
}

/** Docker sends one PATCH without a range; others send `Content-Range: <start>-<end>`. */
function claimOf(exchange: Exchange): PartClaim {
  const length = header(exchange, "content-length");
  const lengthBytes = length === undefined ? {} : { lengthBytes: Number(length) };
  const range = header(exchange, "content-range");
  if (range === undefined) return {};
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(range.trim());
  if (match === null) throw new RegistryProblem("range-invalid", `'${range}' is not a Content-Range: <first byte>-<last byte>`);
  const [startByte, endByte] = [Number(match[1]), Number(match[2])];
  if (endByte < startByte || (length !== undefined && Number(length) !== endByte - startByte + 1)) {
    throw new RegistryProblem("size-invalid", `Content-Range ${range} and Content-Length ${length} do not fit together`);
  }
  return { startByte, ...lengthBytes, ...(length === undefined ? { lengthBytes: endByte - startByte + 1 } : {}) };
}

/** Sets what every answer about a living upload carries. */
export function uploadHeaders(exchange: Exchange, id: string, received: number): void {
  exchange.reply
    .header("location", locationOf(exchange, `blobs/uploads/${id}`))
    .header("range", `0-${Math.max(0, received - 1)}`)
    .header("docker-upload-uuid", id);
}

function accepted(exchange: Exchange, id: string, answer: { readonly received: number; readonly status: 202 | 204 }): FastifyReply {
  uploadHeaders(exchange, id, answer.received);
  return exchange.reply.code(answer.status).send();
}

function created(exchange: Exchange, digest: string): FastifyReply {
  return exchange.reply
    .code(201)
    .header("location", locationOf(exchange, `blobs/${digest}`))
    .header("docker-content-digest", digest)
    .send();
}
