import { Agent, request } from "node:https";
import { type Clock, systemClock } from "../../../core/clock.ts";
import { CommandError } from "../../command.ts";
import type { Session } from "../../session.ts";

/** A cluster's API server, asked as whoever the command line's key is. */
export interface KubernetesApi {
  /** `undefined` when it is not there. @throws CommandError with the API server's words. */
  get<T>(path: string): Promise<T | undefined>;
  /** Makes the object or changes it, by server-side apply: what others set and this does not name stays. */
  apply(path: string, object: unknown): Promise<void>;
  /** Idempotent. */
  delete(path: string): Promise<void>;
  /** Plain text, e.g. a container's log; `undefined` when there is none. */
  text(path: string): Promise<string | undefined>;
}

export interface ClusterAccess {
  readonly name: string;
  readonly endpoint: string;
  /** PEM. */
  readonly authority: Buffer;
}

const MANAGER = "tidegate-deploy";
/** A token is good for a quarter of an hour. */
const RENEW_AFTER_MS = 10 * 60_000;
const TIMEOUT_MS = 30_000;
/** How long an API server may be away, as while it or Tidegate is started anew, before that is said. */
const AWAY_MS = 30_000;
const ASK_AGAIN_MS = 500;
/** "Not now": of the API server itself, or of a webhook that it asks. */
const NOT_NOW: readonly number[] = [429, 500, 502, 503, 504];

/** Connections are kept from one question to the next. */
export async function kubernetesApi(session: Session, access: ClusterAccess): Promise<KubernetesApi> {
  const agent = new Agent({ ca: access.authority, keepAlive: true });
  let token = { text: await clusterToken(session, access.name), madeAtMs: systemClock.steadyMs() };
  const ask = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    if (systemClock.steadyMs() - token.madeAtMs > RENEW_AFTER_MS) {
      token = { text: await clusterToken(session, access.name), madeAtMs: systemClock.steadyMs() };
    }
    const headers = { authorization: `Bearer ${token.text}`, ...(body !== undefined && { "content-type": "application/apply-patch+yaml" }) };
    return send(new URL(path, access.endpoint), { method, headers, agent }, body);
  };
  const wordsOf = ({ status, text }: Answer, path: string): CommandError => {
    const message = status === 401 ? "it does not know this key" : (messageIn(text) ?? text.slice(0, 300));
    return new CommandError(`The API server of cluster ${access.name} answered ${status} to ${path}: ${message}`);
  };
  return {
    async get<T>(path: string) {
      const answer = await onceItIsThere(() => ask("GET", path));
      if (answer.status === 404) return undefined;
      if (answer.status >= 300) throw wordsOf(answer, path);
      return JSON.parse(answer.text) as T;
    },
    async apply(path, object) {
      const answer = await onceItIsThere(() => ask("PATCH", `${path}?fieldManager=${MANAGER}&force=true`, object));
      if (answer.status >= 300) throw wordsOf(answer, path);
    },
    async delete(path) {
      const answer = await onceItIsThere(() => ask("DELETE", path));
      if (answer.status >= 300 && answer.status !== 404) throw wordsOf(answer, path);
    },
    async text(path) {
      const answer = await ask("GET", path);
      return answer.status < 300 ? answer.text : undefined;
    },
  };
}

/** What an API server answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Asks again while nobody answers, or only says "not now": for what may be asked twice. @throws what the last question threw */
export async function onceItIsThere(question: () => Promise<Answer>, clock: Clock = systemClock): Promise<Answer> {
  for (const untilMs = clock.steadyMs() + AWAY_MS; ; await clock.sleep(ASK_AGAIN_MS)) {
    const isLast = clock.steadyMs() >= untilMs;
    try {
      const answer = await question();
      if (isLast || !NOT_NOW.includes(answer.status)) return answer;
    } catch (error) {
      if (isLast) throw error;
    }
  }
}

function send(
  url: URL,
  options: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly agent: Agent },
  body?: unknown,
) {
  return new Promise<Answer>((resolve, reject) => {
    const sent = request(url, { ...options, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    sent.on("timeout", () => sent.destroy(new Error(`${url.host} does not answer`)));
    sent.on("error", (cause) => reject(new CommandError(`The API server at ${url.host} cannot be asked: ${cause.message}`)));
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function messageIn(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { readonly message?: string }).message;
  } catch {
    return undefined;
  }
}

interface Presigner {
  presign(
    request: object,
    options: { readonly expiresIn: number; readonly unhoistableHeaders: ReadonlySet<string>; readonly signableHeaders: ReadonlySet<string> },
  ): Promise<{ readonly query?: Readonly<Record<string, unknown>> }>;
}

const CLUSTER_HEADER = "x-k8s-aws-id";

/** What `aws eks get-token` makes: a GetCallerIdentity for the cluster, presigned by the SDK. */
async function clusterToken(session: Session, cluster: string): Promise<string> {
  const { STSClient } = await import("@aws-sdk/client-sts");
  const connection = await session.connection();
  const endpoint = new URL(connection.endpoint);
  const signer = (await new STSClient(connection).config.signer()) as unknown as Presigner;
  const signed = await signer.presign(
    {
      method: "GET",
      protocol: endpoint.protocol,
      hostname: endpoint.hostname,
      port: endpoint.port === "" ? undefined : Number(endpoint.port),
      path: "/",
      query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
      headers: { host: endpoint.host, [CLUSTER_HEADER]: cluster },
    },
    { expiresIn: 60, unhoistableHeaders: new Set([CLUSTER_HEADER]), signableHeaders: new Set(["host", CLUSTER_HEADER]) },
  );
  const query = Object.entries(signed.query ?? {}).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return `k8s-aws-v1.${Buffer.from(`${endpoint.origin}/?${query.join("&")}`).toString("base64url")}`;
}
