import type { HealthCheckSettings } from "../../contracts/load-balancing.ts";
import { unsupported, validationError } from "./errors.ts";

/** AWS's defaults for targets of protocol HTTP. */
export const DEFAULT_HEALTH_CHECK: HealthCheckSettings = {
  protocol: "HTTP",
  port: "traffic-port",
  path: "/",
  intervalSeconds: 30,
  timeoutSeconds: 5,
  healthyThreshold: 5,
  unhealthyThreshold: 2,
  matcher: "200",
};

/** AWS's defaults for targets of protocol TCP; path and matcher count once the protocol is HTTP. */
export const DEFAULT_TCP_HEALTH_CHECK: HealthCheckSettings = { ...DEFAULT_HEALTH_CHECK, protocol: "TCP", timeoutSeconds: 10, matcher: "200-399" };

export interface HealthCheckInput {
  readonly HealthCheckProtocol?: string | undefined;
  readonly HealthCheckPort?: string | undefined;
  readonly HealthCheckPath?: string | undefined;
  readonly HealthCheckIntervalSeconds?: number | undefined;
  readonly HealthCheckTimeoutSeconds?: number | undefined;
  readonly HealthyThresholdCount?: number | undefined;
  readonly UnhealthyThresholdCount?: number | undefined;
  readonly Matcher?: { readonly HttpCode?: string | undefined } | undefined;
}

/** The settings of a group of this protocol after a change. @throws AwsError ValidationError, UnsupportedFeature. */
export function changeHealthCheck(before: HealthCheckSettings, input: HealthCheckInput, group: "HTTP" | "TCP"): HealthCheckSettings {
  const after = {
    protocol: readProtocol(input.HealthCheckProtocol ?? before.protocol, group),
    port: input.HealthCheckPort ?? before.port,
    path: input.HealthCheckPath ?? before.path,
    intervalSeconds: input.HealthCheckIntervalSeconds ?? before.intervalSeconds,
    timeoutSeconds: input.HealthCheckTimeoutSeconds ?? before.timeoutSeconds,
    healthyThreshold: input.HealthyThresholdCount ?? before.healthyThreshold,
    unhealthyThreshold: input.UnhealthyThresholdCount ?? before.unhealthyThreshold,
    matcher: input.Matcher?.HttpCode ?? before.matcher,
  };
  check(after, group);
  return after;
}

function readProtocol(protocol: string, group: "HTTP" | "TCP"): HealthCheckSettings["protocol"] {
  if (protocol === "HTTP" || protocol === "HTTPS" || (protocol === "TCP" && group === "TCP")) return protocol;
  throw unsupported(`Health check protocol '${protocol}' is not supported for target groups with the protocol '${group}'`);
}

function check(settings: HealthCheckSettings, group: "HTTP" | "TCP"): void {
  const { port, path, intervalSeconds, timeoutSeconds, matcher } = settings;
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (port !== "traffic-port" && (number < 1 || number > 65_535))
    throw validationError("Health check port must be either 'traffic-port' or in the range 1-65535");
  if (!path.startsWith("/")) throw validationError("Health check path must begin with a '/' character");
  if (timeoutSeconds > intervalSeconds || (timeoutSeconds === intervalSeconds && group === "HTTP"))
    throw validationError("Health check timeout must be smaller than the interval");
  if (!isMatcher(matcher)) throw validationError("Health check matcher HTTP code must be within '200-499' (e.g. '200', '200,202' or '200-299')");
}

/** Single codes, lists and ranges from 200 to 499. */
function isMatcher(text: string): boolean {
  return text.split(",").every((part) => {
    const match = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(part);
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    return match !== null && from >= 200 && to <= 499 && from <= to;
  });
}
