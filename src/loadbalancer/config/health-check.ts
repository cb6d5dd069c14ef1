import { word } from "./escape.ts";
import type { Backend, Server } from "./proxy-model.ts";

/** How a backend asks its servers whether they are well. */
export function healthCheckLines({ healthCheck: check }: Backend): readonly string[] {
  const timeout = `timeout check ${check.timeoutSeconds}s`;
  if (check.protocol === "TCP") return [timeout, "option tcp-check"];
  const headers = 'hdr Host "%[srv_name,field(1,_)]" hdr User-Agent ELB-HealthChecker/2.0 hdr Connection close';
  return [
    timeout,
    "option httpchk",
    `http-check send meth GET uri ${word(check.path)} ver HTTP/1.1 ${headers}`,
    `http-check expect status ${check.matcher.replaceAll(/\s/g, "")}`,
  ];
}

/**
 * How connections to a server are kept. Both pool settings must be said: a server added at run time has 0 in their place (HAProxy 2.6) and
 * would get a new connection for each request.
 *
 * `sni` on a connection without TLS only makes the value part of the key under which idle connections are found again: requests that must
 * not meet a connection that the target is just closing carry a value of their own and so get a fresh one.
 */
const CONNECTIONS = "sni var(txn.fresh) pool-max-conn -1 pool-purge-delay 1s";

/** What follows `server <name>` in the configuration and `add server <backend>/<name>` at run time. */
export function serverArguments(backend: Backend, server: Server): string {
  return `${server.ip}:${server.port} ${serverSettings(backend)}`;
}

/** The part that all servers of a backend share. */
export function serverSettings({ healthCheck: check, mode, sendProxy }: Backend): string {
  const port = check.port === "traffic-port" ? "" : ` port ${Number(check.port)}`;
  const tls = check.protocol === "HTTPS" ? " check-ssl verify none" : "";
  const thresholds = `fall ${check.unhealthyThreshold} rise ${check.healthyThreshold}`;
  const settings = `check inter ${check.intervalSeconds}s ${thresholds}${port}${tls}`;
  if (mode === "http") return `${settings} ${CONNECTIONS}`;
  return sendProxy ? `${settings} send-proxy-v2 check-send-proxy` : settings;
}
