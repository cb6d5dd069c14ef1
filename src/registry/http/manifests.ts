import type { FastifyReply } from "fastify";
import { manifestUnknown } from "../images.ts";
import { MANIFEST_LIMIT_BYTES, OCI_INDEX, DOCKER_LIST, readManifest } from "../manifest-document.ts";
import { isDigest, isTag } from "../names.ts";
import { RegistryProblem } from "../problems.ts";
import type { ManifestRecord } from "../records.ts";
import { isPublic } from "./address.ts";
import { bodyOf, hasAlready, header, locationOf, type Exchange } from "./exchange.ts";

/** GET, HEAD, PUT and DELETE of a manifest, by tag or digest. */
export async function handleManifest(exchange: Exchange, reference: string): Promise<FastifyReply> {
  if (!isDigest(reference) && !isTag(reference)) {
    const reason = reference.includes(":") ? "digest-invalid" : "tag-invalid";
    throw new RegistryProblem(reason, `'${reference}' is neither a tag nor a sha256 digest`);
  }
  switch (exchange.request.method) {
    case "GET":
    case "HEAD":
      return sendManifest(exchange, reference);
    case "PUT":
      return putManifest(exchange, reference);
    case "DELETE":
      return deleteManifest(exchange, reference);
    default:
      throw new RegistryProblem("unsupported", "The operation is unsupported.");
  }
}

async function sendManifest(exchange: Exchange, reference: string): Promise<FastifyReply> {
  const { reply, request, rooms, repository } = exchange;
  const found = await findManifest(exchange, reference);
  const record = isDigest(reference) ? found : await acceptable(exchange, found);
  reply.header("docker-content-digest", record.digest).header("etag", `"${record.digest}"`).header("content-type", record.mediaType);
  if (hasAlready(exchange, record.digest)) return reply.code(304).send();
  reply.header("content-length", record.sizeBytes);
  if (request.method === "HEAD") return reply.send();
  await rooms.images.recordPull(repository, record);
  return reply.send(await rooms.images.content(record));
}

async function findManifest(exchange: Exchange, reference: string): Promise<ManifestRecord> {
  const { rooms, repository, caller } = exchange;
  // Whoever shows no token gets what is kept here, and cannot make this instance call others.
  if (isPublic(repository) && caller !== undefined) return rooms.pullThrough.manifest(repository, reference);
  const record = await rooms.images.find(repository, reference);
  if (record !== undefined) return record;
  if (!isPublic(repository)) await rooms.repositories.get(repository);
  throw manifestUnknown();
}

/**
 * What a client that does not take the stored type gets for a tag: of an index, its linux/amd64 image, if it takes that.
 * Differs: ECR also rewrites single manifests between Docker's and OCI's types.
 */
async function acceptable(exchange: Exchange, record: ManifestRecord): Promise<ManifestRecord> {
  const accepted = [exchange.request.headers.accept ?? "*/*"]
    .flat()
    .flatMap((line) => line.split(","))
    .map((type) => type.split(";")[0]?.trim().toLowerCase() ?? "");
  const takes = (mediaType: string): boolean => accepted.some((type) => type === "*/*" || type === "application/*" || type === mediaType);
  // Clients that name no manifest type at all (a browser, curl with a JSON header) take what there is.
  if (takes(record.mediaType) || !accepted.some((type) => /manifest|image\.index/.test(type))) return record;
  if (record.mediaType === OCI_INDEX || record.mediaType === DOCKER_LIST) {
    const { images } = exchange.rooms;
    const { children } = readManifest(await images.content(record), record.mediaType);
    const child = children.find(({ platform }) => platform?.os === "linux" && platform.architecture === "amd64");
    const image = child === undefined ? undefined : await images.getByDigest(exchange.repository, child.digest);
    if (image !== undefined && takes(image.mediaType)) return image;
  }
  throw new RegistryProblem("manifest-unknown", `the image is stored as ${record.mediaType}, which the Accept header does not list`);
}

async function putManifest(exchange: Exchange, reference: string): Promise<FastifyReply> {
  const { reply, rooms, repository } = exchange;
  await rooms.repositories.getForPush(repository);
  const bytes = await readLimited(exchange);
  const mediaType = header(exchange, "content-type");
  const to = isDigest(reference) ? { digest: reference } : { tag: reference };
  const { record } = await rooms.images.put(repository, { bytes, ...to, ...(mediaType === undefined ? {} : { mediaType }) });
  if (record.subject !== undefined) reply.header("oci-subject", record.subject);
  return reply
    .code(201)
    .header("location", locationOf(exchange, `manifests/${reference}`))
    .header("docker-content-digest", record.digest)
    .send();
}

async function readLimited(exchange: Exchange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let received = 0;
  for await (const chunk of bodyOf(exchange)) {
    received += (chunk as Buffer).length;
    if (received > MANIFEST_LIMIT_BYTES) throw new RegistryProblem("size-invalid", `the manifest is larger than ${MANIFEST_LIMIT_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** Differs: ECR answers 405 and wants BatchDeleteImage; a tag that goes here leaves its manifest, as the OCI specification has it. */
async function deleteManifest(exchange: Exchange, reference: string): Promise<FastifyReply> {
  const { reply, rooms, repository } = exchange;
  await rooms.repositories.get(repository);
  if (isDigest(reference)) await rooms.images.deleteDigest(repository, reference);
  else await rooms.images.deleteTag(repository, reference, { lastTagDeletesImage: false });
  return reply.code(202).send();
}
