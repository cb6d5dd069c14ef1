import type { StandardStreams } from "../../contracts/engine.ts";

/** What of a container's log is wanted. */
export interface LogOptions {
  readonly follow: boolean;
  /** Of the instance before this one. */
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly streams: "All" | "Stdout" | "Stderr";
  readonly sinceSeconds?: number;
  readonly sinceMs?: number;
  readonly tailLines?: number;
  /** Of what is answered. */
  readonly limitBytes?: number;
}

interface PodName {
  readonly namespace: string;
  readonly pod: string;
  /** Where it is said, the pod must be that one. */
  readonly uid?: string;
}

/** A question to a node's kubelet. */
export type KubeletCall =
  | { readonly type: "health" | "pods" | "summary" | "resource-metrics" }
  | (PodName & { readonly type: "logs"; readonly container: string; readonly options: LogOptions })
  | (PodName & StandardStreams & { readonly type: "exec"; readonly container: string; readonly command: readonly string[] })
  | (PodName & StandardStreams & { readonly type: "attach"; readonly container: string })
  | (PodName & { readonly type: "port-forward"; readonly ports: readonly number[] });

/** An answer that needs no look at anything. */
export interface Refusal {
  readonly status: number;
  readonly words: string;
}

const NOT_FOUND: Refusal = { status: 404, words: "404 page not found\n" };
const PLAIN: Readonly<Record<string, "health" | "pods" | "summary" | "resource-metrics">> = {
  healthz: "health",
  pods: "pods",
  "stats/summary": "summary",
  "metrics/resource": "resource-metrics",
};

/** Reads a request of the kubelet's HTTP API; paths and parameters are the kubelet's. Pure. */
export function parseCall(target: string): KubeletCall | Refusal {
  const url = URL.parse(target, "https://node");
  if (url === null) return { status: 400, words: "the request's target is no path" };
  const { pathname, searchParams: query } = url;
  const parts = decoded(pathname);
  if (parts === undefined) return { status: 400, words: "the path is not percent-encoded UTF-8" };
  const plain = PLAIN[parts.join("/")];
  if (plain !== undefined) return { type: plain };
  const [what = "", namespace = "", pod = "", ...rest] = parts;
  if (namespace === "" || pod === "") return NOT_FOUND;
  if (what === "portForward" && rest.length <= 1) return { type: "port-forward", namespace, pod, ...uidOf(rest[0]), ports: portsOf(query) };
  const container = rest.at(-1) ?? "";
  if (container === "") return NOT_FOUND;
  if (what === "containerLogs" && rest.length === 1) {
    const options = logOptions(query);
    return "words" in options ? options : { type: "logs", namespace, pod, container, options };
  }
  if ((what !== "exec" && what !== "attach") || rest.length > 2) return NOT_FOUND;
  const streams = streamsOf(query);
  if (!streams.stdin && !streams.stdout && !streams.stderr) return { status: 400, words: "you must specify at least 1 of stdin, stdout, stderr" };
  const of = { namespace, pod, ...uidOf(rest.length === 2 ? rest[0] : undefined), container, ...streams };
  return what === "exec" ? { type: "exec", ...of, command: query.getAll("command") } : { type: "attach", ...of };
}

function decoded(pathname: string): readonly string[] | undefined {
  try {
    return pathname.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function uidOf(uid: string | undefined): { readonly uid?: string } {
  return uid === undefined ? {} : { uid };
}

function portsOf(query: URLSearchParams): readonly number[] {
  return query
    .getAll("port")
    .flatMap((value) => value.split(","))
    .map(Number)
    .filter((port) => Number.isInteger(port) && port > 0 && port < 65_536);
}

/** A terminal has one output. */
function streamsOf(query: URLSearchParams): StandardStreams {
  const isSet = (name: string): boolean => ["1", "true"].includes(query.get(name) ?? "");
  const tty = isSet("tty");
  return { tty, stdin: isSet("input"), stdout: isSet("output"), stderr: isSet("error") && !tty };
}

function logOptions(query: URLSearchParams): LogOptions | Refusal {
  const isSet = (name: string): boolean => ["1", "true"].includes(query.get(name) ?? "");
  const [sinceSeconds, tailLines, limitBytes] = ["sinceSeconds", "tailLines", "limitBytes"].map((name) => wholeNumber(query.get(name)));
  const sinceTime = query.get("sinceTime");
  const sinceMs = sinceTime === null ? undefined : Date.parse(sinceTime);
  const streams = query.get("stream") ?? "All";
  if ([sinceSeconds, tailLines, limitBytes, sinceMs].some(Number.isNaN)) return { status: 400, words: `{"message": "Unable to decode query."}` };
  const isWrong =
    (sinceSeconds !== undefined && (sinceSeconds < 1 || sinceMs !== undefined)) ||
    (tailLines !== undefined && tailLines < 0) ||
    (limitBytes !== undefined && limitBytes < 1) ||
    (streams !== "All" && streams !== "Stdout" && streams !== "Stderr");
  if (isWrong) return { status: 422, words: `{"message": "Invalid request."}` };
  return {
    follow: isSet("follow"),
    previous: isSet("previous"),
    timestamps: isSet("timestamps"),
    streams,
    ...(sinceSeconds !== undefined && { sinceSeconds }),
    ...(sinceMs !== undefined && { sinceMs }),
    ...(tailLines !== undefined && { tailLines }),
    ...(limitBytes !== undefined && { limitBytes }),
  };
}

/** NaN for what is none. */
function wholeNumber(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  return /^-?\d+$/.test(text) ? Number(text) : NaN;
}
