import type { FastifyReply, FastifyRequest } from "fastify";
import type { Readable } from "node:stream";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { FileBlobStore } from "../blob-store.ts";
import type { Images } from "../images.ts";
import type { PullThrough } from "../pull-through.ts";
import type { RepositoryRef } from "../names.ts";
import type { Repositories } from "../repositories.ts";
import type { Caller, Tokens } from "../tokens.ts";
import type { Logins } from "../logins.ts";
import type { Upstream } from "../upstream.ts";
import type { Uploads } from "../uploads.ts";
import type { Addressing, RegistryHome } from "./address.ts";

/** What the handlers work with. */
export interface Rooms {
  readonly home: RegistryHome;
  readonly repositories: Repositories;
  readonly images: Images;
  readonly uploads: Uploads;
  readonly blobs: FileBlobStore;
  readonly pullThrough: PullThrough;
  readonly tokens: Tokens;
  readonly upstream: Upstream;
  readonly logins: Logins;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One request under `/v2/`, authenticated and with its repository found out. */
export interface Exchange {
  readonly rooms: Rooms;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly url: URL;
  /** As in the path; answers use it. */
  readonly name: string;
  readonly repository: RepositoryRef;
  readonly addressing: Addressing;
  readonly caller: Caller | undefined;
}

/** The request's body, not read yet. */
export function bodyOf(exchange: Exchange): Readable {
  return exchange.request.raw;
}

/** A request header, once. */
export function header(exchange: { readonly request: FastifyRequest }, name: string): string | undefined {
  const value = exchange.request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The path and query of another resource of the same repository, as this client calls it. */
export function locationOf(exchange: Exchange, tail: string): string {
  const ns = exchange.url.searchParams.get("ns");
  return `/v2/${exchange.name}/${tail}${ns === null ? "" : `?ns=${encodeURIComponent(ns)}`}`;
}

/** True when the client says that it has this digest already. */
export function hasAlready(exchange: Exchange, digest: string): boolean {
  const tags = header(exchange, "if-none-match")?.split(",") ?? [];
  return tags.some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "").replaceAll('"', "") === digest);
}
