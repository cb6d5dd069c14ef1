import type { Scope } from "../core/scope.ts";

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const ECR_HOST = /^(\d{12})\.(?:dkr\.ecr|dkr\.ecr-fips|dkr-ecr)\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)(?::\d+)?$/;
const PUBLIC_HOST = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/;
const HAS_LETTER = /[a-z]/;

/** Where images of public registries are kept: outside every account. */
export const PUBLIC_SCOPE: Scope = { account: "public", region: "public" };

/** Repositories under this prefix are the kept public images: `tidegate-public/docker.io/library/node`. */
export const PUBLIC_PREFIX = "tidegate-public/";

/** A repository: its scope and name. */
export interface RepositoryRef extends Scope {
  readonly name: string;
}

/** @see ECR: 2 to 256 characters. A public repository's name begins with a registry host. */
export function isRepositoryName(name: string): boolean {
  return name.length >= 2 && name.length <= 256 && REPOSITORY.test(name);
}

export function isTag(tag: string): boolean {
  return TAG.test(tag);
}

/** A digest that this registry can hold: sha256, lower case. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** The account and region of one of ECR's host names, `<account>.dkr.ecr.<region>.amazonaws.com`; `undefined` for any other host. */
export function scopeOfEcrHost(host: string): Scope | undefined {
  const match = ECR_HOST.exec(host.toLowerCase());
  return match?.[1] === undefined || match[2] === undefined ? undefined : { account: match[1], region: match[2] };
}

/** True for the names by which this instance is called on its own machine and in its VPCs: localhost, and any bare address. */
export function isOwnHost(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, "");
  return name === "localhost" || name.endsWith(".localhost") || name.startsWith("[") || !HAS_LETTER.test(name);
}

/** The one name a public registry is kept under; `undefined` when `host` cannot be one (an address, a single label, a port). */
export function publicRegistryOf(host: string): string | undefined {
  const name = host.toLowerCase();
  if (name === "registry-1.docker.io" || name === "index.docker.io") return "docker.io";
  return PUBLIC_HOST.test(name) && HAS_LETTER.test(name.slice(name.lastIndexOf(".") + 1)) ? name : undefined;
}

/** Splits a kept public repository, `docker.io/library/node`, into registry and repository. */
export function splitPublicName(name: string): { readonly registry: string; readonly repository: string } | undefined {
  const slash = name.indexOf("/");
  const registry = slash < 0 ? undefined : publicRegistryOf(name.slice(0, slash));
  const repository = name.slice(slash + 1);
  return registry === undefined || !isRepositoryName(repository) ? undefined : { registry, repository };
}

export interface ImageName {
  /** As written, or `docker.io`. */
  readonly host: string;
  /** With `library/` for Docker's official images. */
  readonly repository: string;
  /** A tag (default `latest`) or a digest; a digest wins over a tag. */
  readonly reference: string;
}

/** Reads an image name as docker does: `node`, `node:26`, `quay.io/a/b@sha256:…`, `localhost:4566/api:1`. `undefined` when it is none. */
export function parseImageName(image: string): ImageName | undefined {
  const at = image.indexOf("@");
  const digest = at < 0 ? undefined : image.slice(at + 1);
  const named = at < 0 ? image : image.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const path = hasTag ? named.slice(0, colon) : named;
  const tag = hasTag ? named.slice(colon + 1) : "latest";
  const slash = path.indexOf("/");
  const first = path.slice(0, Math.max(slash, 0));
  const hasHost = first === "localhost" || /[.:]/.test(first);
  const host = hasHost ? first : "docker.io";
  const rest = hasHost ? path.slice(slash + 1) : path;
  const repository = publicRegistryOf(host) === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest;
  const reference = digest ?? tag;
  if (!REPOSITORY.test(repository) || !(digest === undefined ? isTag(tag) : isDigest(digest))) return undefined;
  return { host, repository, reference };
}
