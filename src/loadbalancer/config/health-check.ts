import { word } from "./escape.ts";
import { type Backend, openServerName, type Server } from "./proxy-model.ts";

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

/** Of the targets of a backend as HAProxy has them, all checked ones first. */
export interface ServerLine {
  readonly name: string;
  /** What follows `server <name>` in the configuration and `add server <backend>/<name>` at run time. */
  readonly arguments: string;
  readonly isChecked: boolean;
}

export function serverLinesOf(backend: Backend, servers: readonly Server[] = backend.servers): readonly ServerLine[] {
  const settings = serverSettings(backend);
  const line = ({ name, ip, port }: Server, isChecked: boolean): ServerLine => ({
    name: isChecked ? name : openServerName(name),
    arguments: `${ip}:${port} ${isChecked ? settings.checked : settings.open}`,
    isChecked,
  });
  return [...servers.map((server) => line(server, true)), ...servers.map((server) => line(server, false))];
}

/** The parts that all servers of a backend share, by whether they are checked. */
export function serverSettings({ healthCheck: check, mode, sendProxy }: Backend): { readonly checked: string; readonly open: string } {
  const port = check.port === "traffic-port" ? "" : ` port ${Number(check.port)}`;
  const tls = check.protocol === "HTTPS" ? " check-ssl verify none" : "";
  const thresholds = `fall ${check.unhealthyThreshold} rise ${check.healthyThreshold}`;
  const checked = `check inter ${check.intervalSeconds}s ${thresholds}${port}${tls}`;
  if (mode === "http") return { checked: `${checked} ${CONNECTIONS}`, open: `backup ${CONNECTIONS}` };
  return sendProxy ? { checked: `${checked} send-proxy-v2 check-send-proxy`, open: "backup send-proxy-v2" } : { checked, open: "backup" };
}
