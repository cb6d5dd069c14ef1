import { Readable } from "node:stream";
import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/problem.ts";
import { TRANSFER_BUFFER_BYTES } from "./file-sink.ts";
import { MANIFEST_LIMIT_BYTES, MANIFEST_MEDIA_TYPES } from "./manifest-document.ts";
import type { Login } from "./logins.ts";
import { isRegistryProblem, RegistryProblem } from "./problems.ts";

/** A repository of a public registry. */
export interface UpstreamRepository {
  /** e.g. `docker.io`. */
  readonly registry: string;
  readonly repository: string;
  /** Left out: anonymously. */
  readonly login?: Login;
}

export interface UpstreamOptions {
  readonly clock: Clock;
  /** Base URL of a registry, without `/v2/`; default HTTPS to the registry itself. */
  readonly urlOf?: (registry: string) => string;
}

interface TokenAnswer {
  readonly token?: string;
  readonly access_token?: string;
  readonly expires_in?: number;
}

interface KeptToken {
  /** As the header Authorization has it. */
  readonly token: string;
  readonly untilMs: number;
}

const ANSWER_TIMEOUT_MS = 30_000;
const DEFAULT_TOKEN_SECONDS = 60;
/** A login is asked for again after that: those that nobody uses any more are not kept. */
const BASIC_SECONDS = 60 * 60;
/** Waits before a blob is gone on with, as long as no byte of it comes. */
const RESUME_DELAYS_MS = [200, 500, 1000, 2000];

interface Resumable {
  readonly what: string;
  readonly registry: string;
  readonly response: Response;
  readonly sizeBytes: number | undefined;
  /** Asks for the blob again, or for a range of it. */
  readonly get: (range: string) => Promise<Response>;
}

/** Reads from other registries, anonymously or by a login: the Bearer token flow of the distribution specification, or Basic where that is what they ask for. */
export class Upstream {
  readonly #clock: Clock;
  readonly #urlOf: (registry: string) => string;
  readonly #tokens = new Map<string, KeptToken>();

  constructor(options: UpstreamOptions) {
    this.#clock = options.clock;
    this.#urlOf = options.urlOf ?? ((registry) => `https://${registry === "docker.io" ? "registry-1.docker.io" : registry}`);
  }

  /** A manifest's bytes and media type. @throws RegistryProblem `manifest-unknown`, `upstream-unreachable`, naming image, registry and cause. */
  async manifest(from: UpstreamRepository, reference: string): Promise<{ readonly bytes: Buffer; readonly mediaType: string | undefined }> {
    const image = `${from.registry}/${from.repository}${reference.includes(":") ? "@" : ":"}${reference}`;
    const response = await this.#get(from, { path: `manifests/${reference}`, what: image, unknown: "manifest-unknown" });
    const mediaType = response.headers.get("content-type") ?? undefined;
    const chunks: Uint8Array[] = [];
    let received = 0;
    try {
      for await (const chunk of response.body ?? []) {
        received += chunk.length;
        if (received > MANIFEST_LIMIT_BYTES)
          throw new RegistryProblem("manifest-invalid", `the manifest of ${image} is larger than ${MANIFEST_LIMIT_BYTES} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof RegistryProblem) throw error;
      const words = error instanceof Error ? messageOf(error.cause ?? error) : String(error);
      throw new RegistryProblem("upstream-unreachable", `cannot pull ${image} from the registry ${from.registry}: its answer broke off (${words})`);
    }
    return { bytes: Buffer.concat(chunks), mediaType };
  }

  /**
   * A blob as it comes; who does not read it destroys it. Where the connection breaks off, the rest is asked for, with back-off as long as nothing comes; the body then ends
   * with the error. @throws RegistryProblem `blob-unknown`, `upstream-unreachable`.
   */
  async blob(from: UpstreamRepository, digest: string): Promise<{ readonly content: Readable; readonly sizeBytes: number | undefined }> {
    const what = `${from.registry}/${from.repository}@${digest}`;
    const get = (range?: string): Promise<Response> => this.#get(from, { path: `blobs/${digest}`, what, unknown: "blob-unknown", range });
    const response = await get();
    const length = response.headers.get("content-length");
    const sizeBytes = length === null || response.headers.has("content-encoding") ? undefined : Number(length);
    const body = this.#resumed({ what, registry: from.registry, response, sizeBytes, get });
    const content = Readable.from(body, { objectMode: false, highWaterMark: TRANSFER_BUFFER_BYTES });
    // A generator that was not begun ends without a look at its `finally`: the connection would stay open.
    content.once("close", () => void response.body?.cancel().catch(() => {}));
    return { content, sizeBytes };
  }

  async *#resumed({ what, registry, response, sizeBytes, get }: Resumable): AsyncGenerator<Uint8Array> {
    let received = 0;
    let failures = 0;
    let skip = 0;
    let chunks = chunksOf(response);
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => error as Error);
        if (next instanceof Error || (next.done === true && received < (sizeBytes ?? received))) {
          const words = next instanceof Error ? messageOf(next.cause ?? next) : "it ended early";
          if (++failures > RESUME_DELAYS_MS.length) throw brokenOff({ what, registry, received, sizeBytes, words });
          await this.#clock.sleep(RESUME_DELAYS_MS[failures - 1] ?? 0);
          const rest = await get(`bytes=${received}-`).catch((error: unknown) => {
            if (!isRegistryProblem(error, "upstream-unreachable")) throw error;
            return undefined;
          });
          // Who does not know ranges sends all again.
          skip = rest?.status === 206 ? 0 : received;
          chunks = rest === undefined ? failing(words) : chunksOf(rest);
          continue;
        }
        if (next.done === true) return;
        const fresh = next.value.subarray(Math.min(skip, next.value.length));
        skip -= next.value.length - fresh.length;
        if (fresh.length === 0) continue;
        received += fresh.length;
        failures = 0;
        yield fresh;
      }
    } finally {
      await chunks.return(undefined).catch(() => {});
    }
  }

  async #get(
    from: UpstreamRepository,
    request: {
      readonly path: string;
      readonly what: string;
      readonly unknown: "manifest-unknown" | "blob-unknown";
      readonly range?: string | undefined;
    },
  ): Promise<Response> {
    const url = `${this.#urlOf(from.registry)}/v2/${from.repository}/${request.path}`;
    const context = `cannot pull ${request.what} from the registry ${from.registry}`;
    const range: Readonly<Record<string, string>> = request.range === undefined ? {} : { range: request.range };
    const headers = { accept: MANIFEST_MEDIA_TYPES.join(", "), ...range };
    let response = await this.#fetch(url, { ...this.#authorization(from), ...headers }, context);
    if (response.status === 401) {
      await response.body?.cancel();
      await this.#login(from, response.headers.get("www-authenticate") ?? "", context);
      response = await this.#fetch(url, { ...this.#authorization(from), ...headers }, context);
    }
    if (response.ok) return response;
    const words = (await response.text().catch(() => "")).slice(0, 300).trim();
    const said = `${from.registry} answered HTTP ${response.status}${words === "" ? "" : `: ${words}`}`;
    if ([401, 403, 404].includes(response.status)) {
      const why =
        from.login === undefined ? "there is no such public image, or it needs a login" : `there is no such image for ${from.login.username}`;
      throw new RegistryProblem(request.unknown, `${context}: ${why} (${said})`);
    }
    throw new RegistryProblem("upstream-unreachable", `${context}: ${said}`);
  }

  #authorization(from: UpstreamRepository): Readonly<Record<string, string>> {
    const kept = this.#tokens.get(keyOf(from));
    return kept !== undefined && kept.untilMs > this.#clock.steadyMs() ? { authorization: kept.token } : {};
  }

  async #login(from: UpstreamRepository, challenge: string, context: string): Promise<void> {
    const basic = from.login === undefined ? undefined : basicOf(from.login);
    if (basic !== undefined && /^basic\b/i.test(challenge)) {
      this.#keep(from, basic, BASIC_SECONDS);
      return;
    }
    const parameters = Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map((match) => [match[1], match[2]]));
    const base = this.#urlOf(from.registry);
    const realm = URL.parse(parameters["realm"] ?? "");
    // An upstream reached by HTTPS may not send us anywhere by plain HTTP.
    if (!/^bearer\s/i.test(challenge) || realm === null || (realm.protocol !== "https:" && base.startsWith("https:"))) {
      throw new RegistryProblem("manifest-unknown", `${context}: it wants a login that is not anonymous (${challenge || "no challenge"})`);
    }
    if (parameters["service"] !== undefined) realm.searchParams.set("service", parameters["service"]);
    realm.searchParams.set("scope", parameters["scope"] ?? `repository:${from.repository}:pull`);
    const response = await this.#fetch(realm.href, basic === undefined ? {} : { authorization: basic }, context);
    if (!response.ok) throw new RegistryProblem("manifest-unknown", `${context}: its token server ${realm.host} answered HTTP ${response.status}`);
    const answer = (await response.json().catch(() => undefined)) as TokenAnswer | null | undefined;
    const token = answer?.token ?? answer?.access_token;
    if (token === undefined) throw new RegistryProblem("upstream-unreachable", `${context}: its token server ${realm.host} gave no token`);
    this.#keep(from, `Bearer ${token}`, answer?.expires_in ?? DEFAULT_TOKEN_SECONDS);
  }

  #keep(from: UpstreamRepository, token: string, seconds: number): void {
    const nowMs = this.#clock.steadyMs();
    for (const [key, kept] of this.#tokens) if (kept.untilMs <= nowMs) this.#tokens.delete(key);
    this.#tokens.set(keyOf(from), { token, untilMs: nowMs + seconds * 1000 * 0.8 });
  }

  async #fetch(url: string, headers: Readonly<Record<string, string>>, context: string): Promise<Response> {
    const abort = new AbortController();
    using _timer = this.#clock.setTimer(ANSWER_TIMEOUT_MS, () => abort.abort(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)));
    try {
      return await fetch(url, { headers, signal: abort.signal });
    } catch (cause) {
      const reason = cause instanceof Error && cause.cause !== undefined ? messageOf(cause.cause) : messageOf(cause);
      const host = new URL(url).host;
      const advice = "Check this machine's network, or put the image here: push it to this registry, or run `tidegate images seed`.";
      throw new RegistryProblem("upstream-unreachable", `${context}: ${host} cannot be reached (${reason}). ${advice}`, { cause });
    }
  }
}

function keyOf({ registry, repository, login }: UpstreamRepository): string {
  return JSON.stringify([registry, repository, login?.username, login?.password]);
}

function basicOf({ username, password }: Login): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  yield* response.body ?? [];
}

async function* failing(words: string): AsyncGenerator<Uint8Array> {
  yield await Promise.reject(new Error(words));
}

function brokenOff(how: {
  readonly what: string;
  readonly registry: string;
  readonly received: number;
  readonly sizeBytes: number | undefined;
  readonly words: string;
}): RegistryProblem {
  const message =
    `cannot pull ${how.what} from the registry ${how.registry}: the connection broke off after ${how.received} of ${how.sizeBytes ?? "unknown"} bytes, ` +
    `and ${RESUME_DELAYS_MS.length} tries to go on from there brought nothing (${how.words}). Nothing of it was kept; the next pull begins anew.`;
  return new RegistryProblem("upstream-unreachable", message);
}
