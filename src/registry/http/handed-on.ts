import type { FastifyReply } from "fastify";
import { readManifest } from "../manifest-document.ts";
import { isDigest, isTag } from "../names.ts";
import { RegistryProblem } from "../problems.ts";
import type { UpstreamRepository } from "../upstream.ts";
import type { Route } from "./address.ts";
import type { Exchange } from "./exchange.ts";

/** Reads of what a login opens at another registry: asked there each time, and not kept, so that nobody has it without that login. */
export async function handleHandedOn(exchange: Exchange, route: Route, registry: string): Promise<FastifyReply> {
  const { request, rooms, repository, reply } = exchange;
  const login = rooms.logins.get(repository.account);
  if (request.method !== "GET" && request.method !== "HEAD")
    throw new RegistryProblem("unsupported", `nothing is pushed to ${registry} through this registry`);
  if (login === undefined) throw new RegistryProblem("denied", `the login at ${registry} is not known any more: pull again`);
  const from: UpstreamRepository = { registry, repository: repository.name.slice(registry.length + 1), login };
  if (route.kind === "manifest" && (isDigest(route.reference) || isTag(route.reference))) {
    const { bytes, mediaType } = await rooms.upstream.manifest(from, route.reference);
    const document = readManifest(bytes, mediaType);
    reply.header("docker-content-digest", document.digest).header("content-type", document.mediaType).header("content-length", bytes.length);
    return request.method === "HEAD" ? reply.send() : reply.send(bytes);
  }
  if (route.kind !== "blob" || !isDigest(route.digest)) throw new RegistryProblem("unsupported", "The operation is unsupported.");
  const { content, sizeBytes } = await rooms.upstream.blob(from, route.digest);
  reply.header("docker-content-digest", route.digest).header("content-type", "application/octet-stream");
  if (sizeBytes !== undefined) reply.header("content-length", sizeBytes);
  if (request.method === "GET") return reply.send(content);
  content.destroy();
  return reply.send();
}
