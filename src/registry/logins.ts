import { createHash } from "node:crypto";
import { isOwnHost, parseImageName, publicRegistryOf, scopeOfEcrHost } from "./names.ts";
import type { Scope } from "../core/scope.ts";
import { fitsWildcard } from "../core/wildcard.ts";

/** A user of another registry. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** With where it is good: a registry's host, with its port if it has one, and the beginning of repositories' names; each part may have `*` and `?`. */
export interface RegistryLogin extends Login {
  readonly registry: string;
}

const ACCOUNT_PREFIX = "login-";
/** Of those that were used last; the others are told anew with the next pull. */
const KEPT = 1000;

/**
 * Logins with which images are pulled just now, in memory alone. Each is as an account of its own, which has no repositories: what it asks
 * for is handed on from its registry, and nothing is kept.
 */
export class Logins {
  readonly #byAccount = new Map<string, Login>();

  scopeOf({ username, password }: Login): Scope {
    const digest = createHash("sha256")
      .update(JSON.stringify([username, password]))
      .digest("hex");
    const account = `${ACCOUNT_PREFIX}${digest.slice(0, 32)}`;
    this.#byAccount.delete(account);
    this.#byAccount.set(account, { username, password });
    const [oldest] = this.#byAccount.keys();
    if (this.#byAccount.size > KEPT && oldest !== undefined) this.#byAccount.delete(oldest);
    return { account, region: "login" };
  }

  /** `undefined` when it has been too long. */
  get(account: string): Login | undefined {
    return this.#byAccount.get(account);
  }
}

/** Of nobody: it opens nothing. */
export const NO_LOGIN: Scope = { account: ACCOUNT_PREFIX, region: "login" };

export function isLoginAccount(account: string): boolean {
  return account.startsWith(ACCOUNT_PREFIX);
}

/** The one name of a registry that one logs in at: a host name or address, with its port if it has one; `undefined` for a single label. */
export function loginRegistryOf(host: string): string | undefined {
  const known = publicRegistryOf(host);
  if (known !== undefined) return known;
  return /^[a-z0-9.-]+\.[a-z0-9-]+(?::\d+)?$/.test(host.toLowerCase()) ? host.toLowerCase() : undefined;
}

/** Those that are good for an image, in the kubelet's order: the most exact first. None for images of this registry. Pure. */
export function loginsFor(image: string, logins: readonly RegistryLogin[], ownPorts: readonly number[]): readonly Login[] {
  const name = parseImageName(image);
  if (name === undefined || scopeOfEcrHost(name.host) !== undefined) return [];
  const port = /:(\d+)$/.exec(name.host)?.[1];
  if (isOwnHost(name.host) && (port === undefined || ownPorts.includes(Number(port)))) return [];
  const target = splitPattern(`${loginRegistryOf(name.host) ?? name.host}/${name.repository}`);
  return logins
    .filter(({ registry }) => matches(splitPattern(registry), target))
    .toSorted((a, b) => b.registry.length - a.registry.length)
    .map(({ username, password }) => ({ username, password }));
}

interface Place {
  readonly labels: readonly string[];
  readonly port: string;
  readonly path: readonly string[];
}

/** `https://index.docker.io/v1/` means Docker's registry, as `docker login` writes it. */
function splitPattern(text: string): Place {
  const [host = "", ...path] = text
    .replace(/^https?:\/\//, "")
    .split("/")
    .filter((part) => part !== "");
  const [, name = "", port = ""] = /^(.*?)(?::(\d+))?$/.exec(host.toLowerCase()) ?? [];
  const isApi = path.length === 1 && /^v[12]$/.test(path[0] ?? "");
  return { labels: (publicRegistryOf(name) ?? name).split("."), port, path: isApi ? [] : path };
}

function matches(pattern: Place, target: Place): boolean {
  if (pattern.port !== target.port || pattern.labels.length !== target.labels.length || pattern.path.length > target.path.length) return false;
  return (
    pattern.labels.every((label, index) => fitsWildcard(label, target.labels[index] ?? "")) &&
    pattern.path.every((part, index) => fitsWildcard(part, target.path[index] ?? ""))
  );
}
