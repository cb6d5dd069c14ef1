import { createHash } from "node:crypto";
import { NO_TARGET } from "./actions.ts";
import { healthCheckLines, serverLinesOf, serverSettings } from "./health-check.ts";
import type { Backend, Frontend, ProxyModel } from "./proxy-model.ts";
import { decisionOf } from "./rules.ts";

export interface ProxyConfig {
  /** The whole file. */
  readonly text: string;
  /** Hash of all that cannot be changed at run time; also in the process's `description`, so that it tells what it runs. */
  readonly structure: string;
}

/** Writes a VPC's HAProxy configuration: same model, same text. */
export function haproxyConfig(model: ProxyModel): ProxyConfig {
  const structure = createHash("sha256")
    .update(render(model, "", () => []))
    .digest("hex")
    .slice(0, 16);
  return { structure, text: render(model, structure, serverLines) };
}

function render(model: ProxyModel, structure: string, servers: (backend: Backend) => readonly string[]): string {
  const sections = [
    section("global", globalLines(model, structure)),
    section("ring health", ["format raw", "maxlen 1024", "size 65536"]),
    section("defaults", defaultsLines()),
    ...model.frontends.map((frontend) => section(`frontend ls-${frontend.id}`, frontendLines(frontend, handoverOf(model, frontend)))),
    ...model.backends.map((backend) => section(`backend ${backend.name}`, [...backendLines(backend), ...servers(backend)])),
    section(`backend ${NO_TARGET}`, []),
    ...model.frontends.filter(forwards).map((frontend) => section(`backend next-${frontend.id}`, handoverLines(handoverOf(model, frontend)))),
  ];
  return `# Written by Tidegate (${model.owner}); changes are lost.\n${sections.join("\n")}`;
}

function section(head: string, lines: readonly string[]): string {
  return [head, ...lines.map((line) => `  ${line}`), ""].join("\n");
}

function globalLines(model: ProxyModel, structure: string): readonly string[] {
  return [
    `description "${model.owner} structure=${structure}"`,
    ...(model.user === undefined ? [] : [`user ${model.user}`, `group ${model.user}`]),
    `stats socket ${model.socketPath} mode 600 level admin expose-fd listeners`,
    "stats timeout 1d",
    `server-state-file ${model.stateFile}`,
    `hard-stop-after ${model.hardStopSeconds}s`,
    "fd-hard-limit 65536",
    // The first check of a new target comes within this, not after a whole interval.
    "max-spread-checks 200",
  ];
}

function defaultsLines(): readonly string[] {
  return [
    "mode http",
    `timeout connect ${CONNECT_TIMEOUT_SECONDS}s`,
    "timeout client 60s",
    "timeout server 60s",
    "load-server-state-from-file global",
    ...Object.entries(TITLES).map(([status, title]) => `http-error status ${status} content-type text/html string ${errorPage(title)} ${SERVER}`),
  ];
}

const CONNECT_TIMEOUT_SECONDS = 10;
const SERVER = "hdr Server awselb/2.0";

const TITLES = {
  400: "400 Bad Request",
  408: "408 Request Time-out",
  500: "500 Internal Server Error",
  502: "502 Bad Gateway",
  503: "503 Service Temporarily Unavailable",
  504: "504 Gateway Time-out",
} as const;

function errorPage(title: string): string {
  const lines = ["<html>", `<head><title>${title}</title></head>`, "<body>", `<center><h1>${title}</h1></center>`, "</body>", "</html>", ""];
  return lines.join("\\r\\n").replaceAll(" ", "\\ ");
}

/** Requests of idle connections that outlive a reload; connections themselves end with their worker. */
function forwards({ mode, rules, action }: Frontend): boolean {
  return mode === "http" && [action, ...rules.map((rule) => rule.action)].some(({ type }) => type === "forward");
}

function frontendLines(frontend: Frontend, handover: string): readonly string[] {
  if (frontend.mode === "tcp") return connectionLines(frontend);
  const idle = `${frontend.idleTimeoutSeconds}s`;
  const lines = [
    // No upgrade to cleartext HTTP/2, as on ALB.
    ...frontend.addresses.map((address) => `bind ${address}:${frontend.port} proto h1`),
    `timeout client ${idle}`,
    `timeout http-keep-alive ${idle}`,
    `timeout http-request ${idle}`,
    // A client that just sends its next request must not find its connection closed by a reload.
    "option idle-close-on-response",
  ];
  const { choice, backends } = decisionOf(frontend, { handsOver: forwards(frontend) });
  if (!forwards(frontend)) return [...lines, ...choice];
  const accept = `bind ${handover} accept-proxy proto h1`;
  return [
    ...lines,
    accept,
    ...choice,
    ...headerLines(frontend),
    ...freshConnectionLines(),
    `use_backend next-${frontend.id} if { stopping }`,
    ...backends,
  ];
}

/** Of a network load balancer, which only carries bytes. A connection that is open stays with the worker that took it. */
function connectionLines(frontend: Frontend): readonly string[] {
  return [
    "mode tcp",
    ...frontend.addresses.map((address) => `bind ${address}:${frontend.port}`),
    `timeout client ${frontend.idleTimeoutSeconds}s`,
    ...decisionOf(frontend, { handsOver: false }).backends,
  ];
}

/** A socket in the VPC's namespace, without a file. */
function handoverOf({ instanceId }: ProxyModel, { id }: Frontend): string {
  return `abns@tg-${instanceId}-${id}`;
}

/**
 * A worker that a reload replaced still answers one request on each idle connection, and its servers can neither be changed nor are they
 * checked any more: it passes these requests on to its successor.
 */
function handoverLines(handover: string): readonly string[] {
  return ["http-reuse never", "retries 3", `server next ${handover} send-proxy-v2`];
}

function headerLines(frontend: Frontend): readonly string[] {
  return [
    ...(frontend.forwardedFor === "remove" ? ["http-request del-header X-Forwarded-For"] : []),
    "http-request set-header X-Forwarded-Proto http",
    `http-request set-header X-Forwarded-Port ${frontend.port}`,
    "http-request set-header X-Amzn-Trace-Id Root=1-%[date,hex,bytes(8,8),lower]-%[uuid,bytes(24,12)]%[uuid,bytes(24,12)] unless { req.hdr(X-Amzn-Trace-Id) -m found }",
  ];
}

/**
 * A target may close an idle connection just as a request is sent on it (Node does so after 5 s). What may be repeated is then repeated
 * elsewhere (`retry-on empty-response`); the rest never gets an old connection, and is closed after its answer, so that it needs no repeat.
 */
function freshConnectionLines(): readonly string[] {
  return [
    // Ends the rules for most requests with one comparison.
    "http-request allow if { method GET HEAD OPTIONS }",
    "http-request set-var(txn.fresh) rand",
    "http-request set-header Connection close",
    "http-request disable-l7-retry",
  ];
}

function backendLines(backend: Backend): readonly string[] {
  const settings = serverSettings(backend);
  const idle = `${backend.idleTimeoutSeconds}s`;
  return [
    ...(backend.mode === "tcp" ? ["mode tcp"] : []),
    `balance ${backend.algorithm}`,
    // So that a target that comes or goes moves few clients, and servers may be added at run time.
    ...(backend.algorithm === "source" ? ["hash-type consistent"] : []),
    `source ${backend.sourceIp}`,
    `timeout server ${idle}`,
    // A refused connection goes to another target at once, where there are two that may be asked. Where there is one, HAProxy waits a second
    // before each retry, so that its client hears of it after three. Fewer retries would cost roll-outs: a request that met a connection which its
    // target was just closing is repeated on the next idle one, which may be closing too, and counts against the same number.
    "retries 3",
    "option redispatch 1",
    // Where no target is healthy, all of them get requests.
    "option allbackups",
    ...(backend.mode === "tcp" ? [] : requestLines(backend)),
    // Only health changes are logged, into memory; Tidegate waits on that ring instead of polling.
    "log ring@health local0",
    "option log-health-checks",
    ...healthCheckLines(backend),
    `# servers: ${settings.checked}, ${settings.open}`,
  ];
}

function requestLines(backend: Backend): readonly string[] {
  return [
    // Here and not in the frontend: a request that is handed over gets it once.
    ...(backend.forwardedFor === "append" ? ["option forwardfor"] : []),
    `timeout tunnel ${backend.idleTimeoutSeconds}s`,
    "http-reuse always",
    "retry-on conn-failure empty-response",
    ...unreachedLines(backend),
  ];
}

/**
 * HAProxy says 503 for a group without targets as for targets that take no connection, of which AWS says 502, or 504 where they do not even
 * refuse it. What it says in a backend that has a target is of the latter kind.
 */
function unreachedLines({ name }: Backend): readonly string[] {
  const isLate = `date(0,ms),sub(txn.begun),div(${CONNECT_TIMEOUT_SECONDS * 1000}),bool`;
  const page = errorPage(`%[${isLate},iif(${TITLES[504]},${TITLES[502]})]`);
  return [
    `http-request return status 503 content-type text/html string ${errorPage(TITLES[503])} ${SERVER} if { nbsrv(${name}) eq 0 }`,
    "http-request set-var(txn.begun) date(0,ms)",
    `http-error status 503 content-type text/html lf-string ${page} ${SERVER} hdr ${UNREACHED} %[${isLate},iif(504,502)]`,
    "http-after-response allow unless { status 503 }",
    ...[502, 504].map((status) => `http-after-response set-status ${status} if { res.hdr(${UNREACHED}) ${status} }`),
    `http-after-response del-header ${UNREACHED}`,
  ];
}

/** Tells our own answer from a target's 503; no client sees it. */
const UNREACHED = "X-Tidegate-Unreached";

function serverLines(backend: Backend): readonly string[] {
  return serverLinesOf(backend).map((server) => `server ${server.name} ${server.arguments}`);
}
