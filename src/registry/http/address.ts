import type { Scope } from "../../core/scope.ts";
import {
  isOwnHost,
  isRepositoryName,
  PUBLIC_PREFIX,
  PUBLIC_SCOPE,
  publicRegistryOf,
  scopeOfEcrHost,
  splitPublicName,
  type RepositoryRef,
} from "../names.ts";
import { isLoginAccount, loginRegistryOf, NO_LOGIN } from "../logins.ts";
import { RegistryProblem } from "../problems.ts";
import type { Caller } from "../tokens.ts";

/** What a path under `/v2/` asks for. */
export type Route =
  | { readonly kind: "base" }
  | { readonly kind: "catalog" }
  | { readonly kind: "tags"; readonly name: string }
  | { readonly kind: "manifest"; readonly name: string; readonly reference: string }
  | { readonly kind: "referrers"; readonly name: string; readonly digest: string }
  | { readonly kind: "blob"; readonly name: string; readonly digest: string }
  | { readonly kind: "uploads"; readonly name: string }
  | { readonly kind: "upload"; readonly name: string; readonly id: string };

/** Reads a path; names may hold slashes, so it goes by the end. `undefined` when it is none of ours. */
export function routeOf(path: string): Route | undefined {
  if (path === "/v2" || path === "/v2/") return { kind: "base" };
  if (path === "/v2/_catalog") return { kind: "catalog" };
  const rest = path.startsWith("/v2/") ? path.slice("/v2/".length) : "";
  const [, name = "", tail = "", last = ""] =
    /^(.+)\/(tags\/list|blobs\/uploads)()\/?$/.exec(rest) ?? /^(.+)\/(blobs\/uploads|manifests|referrers|blobs)\/([^/]+)$/.exec(rest) ?? [];
  switch (tail) {
    case "tags/list":
      return { kind: "tags", name };
    case "blobs/uploads":
      return last === "" ? { kind: "uploads", name } : { kind: "upload", name, id: last };
    case "manifests":
      return { kind: "manifest", name, reference: last };
    case "referrers":
      return { kind: "referrers", name, digest: last };
    case "blobs":
      return { kind: "blob", name, digest: last };
    default:
      return undefined;
  }
}

/** Of this instance: its default account and region, and the ports of `localhost` that mean it. */
export interface RegistryHome extends Scope {
  readonly port: number;
  readonly earlierPorts: readonly number[];
}

/** How a request named the registry. */
export interface Addressing {
  /** The Host header. */
  readonly host: string;
  /** containerd's `?ns=`: the registry host of the image's name, when this instance stands in for it. */
  readonly ns: string | undefined;
  readonly caller: Caller | undefined;
  readonly home: RegistryHome;
}

/** The account and region whose repositories the request means; PUBLIC_SCOPE for public registries. */
export function scopeOf(addressing: Addressing): { readonly scope: Scope; readonly registry?: string } {
  const { ns, host, caller, home } = addressing;
  const own = caller === undefined ? { account: home.account, region: home.region } : { account: caller.account, region: caller.region };
  if (ns === undefined) return { scope: scopeOfEcrHost(host) ?? own };
  const ecr = scopeOfEcrHost(ns);
  if (ecr !== undefined) return { scope: ecr };
  const port = /:(\d+)$/.exec(ns)?.[1];
  const isHome = home.port === 0 || port === undefined || [home.port, ...home.earlierPorts].includes(Number(port));
  if (isOwnHost(ns) && isHome) return { scope: own };
  const loginRegistry = loginRegistryOf(ns);
  if (loginRegistry !== undefined && caller !== undefined && isLoginAccount(caller.account)) return { scope: own, registry: loginRegistry };
  const registry = publicRegistryOf(ns);
  if (registry !== undefined) return { scope: PUBLIC_SCOPE, registry };
  // Clients show their login when they are asked for it.
  if (loginRegistry !== undefined && caller === undefined) return { scope: NO_LOGIN, registry: loginRegistry };
  throw new RegistryProblem(
    "name-invalid",
    `'${ns}' is not a registry that images can be pulled from: it must be this one, an ECR host or a public host name, or a pod's imagePullSecrets must have a login for it`,
  );
}

/** The repository that a name in a request means. @throws RegistryProblem `name-invalid`. */
export function repositoryOf(name: string, addressing: Addressing): RepositoryRef {
  const { scope, registry } = scopeOf(addressing);
  if (!isRepositoryName(name)) throw new RegistryProblem("name-invalid", `'${name}' is not a repository name`);
  if (registry !== undefined) return { ...scope, name: `${registry}/${name}` };
  if (!name.startsWith(PUBLIC_PREFIX)) return { ...scope, name };
  const split = splitPublicName(name.slice(PUBLIC_PREFIX.length));
  if (split === undefined) {
    throw new RegistryProblem(
      "name-invalid",
      `'${name}' must be ${PUBLIC_PREFIX}<registry host>/<repository>, e.g. ${PUBLIC_PREFIX}docker.io/library/node`,
    );
  }
  return { ...PUBLIC_SCOPE, name: `${split.registry}/${split.repository}` };
}

export function isPublic(repository: RepositoryRef): boolean {
  return repository.account === PUBLIC_SCOPE.account;
}
