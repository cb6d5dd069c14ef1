import type { V1Pod } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import type { IssuedToken, KubernetesClient, SourceObject } from "./kubernetes-client.ts";
import { type KeyedContent, type PodSources, sourceNames, tokenKey, type TokenRequest } from "./pod-files.ts";

/** A token is asked for again after this, however long it would be good. */
const LONGEST_USE_MS = 24 * 3_600_000;
/** So that not all of a cluster's tokens come due at once. */
const SPREAD_MS = 10_000;

interface KeptToken extends IssuedToken {
  readonly dueMs: number;
}

interface Kept {
  readonly tokens: Map<string, KeptToken>;
  /** What may not change any more is not looked at again, as the kubelet does not. */
  readonly immutable: Map<string, KeyedContent>;
}

/**
 * Reads what pods refer to. Tokens are kept for each pod until they are due, by the kubelet's rule: at four fifths of their time, or after
 * a day. Only in memory: after a restart of Tidegate each pod gets new ones.
 */
export class PodSourceReader {
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #kept = new Map<string, Kept>();

  constructor({ clock, ids }: { readonly clock: Clock; readonly ids: Ids }) {
    this.#clock = clock;
    this.#ids = ids;
  }

  /** `key`: the placement's. */
  async read(key: string, client: KubernetesClient, pod: V1Pod): Promise<PodSources> {
    const kept = this.#kept.get(key) ?? { tokens: new Map(), immutable: new Map() };
    this.#kept.set(key, kept);
    const names = sourceNames(pod);
    const namespace = pod.metadata?.namespace ?? "";
    const readAll = async (kind: string, wanted: Iterable<string>, read: (name: string) => Promise<SourceObject | undefined>) =>
      new Map(await Promise.all([...wanted].map(async (name) => [name, await this.#object(kept, `${kind}/${name}`, () => read(name))] as const)));
    const tokens = names.tokens.map(async (request) => [tokenKey(request), await this.#token(kept, client, { pod, request })] as const);
    return {
      configMaps: await readAll("configmap", names.configMaps, (name) => client.configMap(namespace, name)),
      secrets: await readAll("secret", names.secrets, (name) => client.secret(namespace, name)),
      tokens: new Map(await Promise.all(tokens)),
    };
  }

  /** When the first of the pod's tokens is due; `undefined` without tokens. */
  nextDueMs(key: string): number | undefined {
    const due = [...(this.#kept.get(key)?.tokens.values() ?? [])].map(({ dueMs }) => dueMs);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }

  async #object({ immutable }: Kept, what: string, read: () => Promise<SourceObject | undefined>): Promise<KeyedContent | undefined> {
    const known = immutable.get(what);
    if (known !== undefined) return known;
    const found = await read();
    if (found?.isImmutable === true) immutable.set(what, found.data);
    return found?.data;
  }

  async #token(
    { tokens }: Kept,
    client: KubernetesClient,
    { pod, request }: { readonly pod: V1Pod; readonly request: TokenRequest },
  ): Promise<string> {
    const key = tokenKey(request);
    const known = tokens.get(key);
    const nowMs = this.#clock.nowMs();
    if (known !== undefined && nowMs < known.dueMs) return known.token;
    const made = await client.token(pod, request);
    const due = tokenDueMs({ issuedMs: nowMs, expiresAtMs: made.expiresAtMs }) - Math.floor(this.#ids.random() * SPREAD_MS);
    tokens.set(key, { ...made, dueMs: due });
    return made.token;
  }
}

/** When a token is to be replaced. Pure. */
export function tokenDueMs({ issuedMs, expiresAtMs }: { readonly issuedMs: number; readonly expiresAtMs: number }): number {
  return Math.min(issuedMs + (expiresAtMs - issuedMs) * 0.8, issuedMs + LONGEST_USE_MS);
}
