import type { CredentialSource } from "../contracts/credentials.ts";
import type { Service, Toolbox } from "../contracts/service.ts";
import type { InheritedListener } from "./listeners.ts";
import type { InstanceConfig } from "../core/config.ts";

export interface GatewayOptions extends Toolbox {
  readonly config: Pick<InstanceConfig, "instanceId" | "account" | "region" | "auth">;
  readonly services: readonly Service[];
  readonly credentials: CredentialSource;
  readonly metrics?: GatewayMetrics;
  /** What `/healthz` answers: 200 when well, else 503. Left out: well as long as it answers. */
  readonly health?: () => Promise<Health>;
  /** Largest body of an AWS API request; default 32 MiB (ECR's UploadLayerPart is the largest). */
  readonly maxBodyBytes?: number;
  /** How long `close` waits for requests in flight; default 25 s. */
  readonly closeGraceMs?: number;
  /** How long `close` still serves idle connections, with an answer that ends them; default 0. */
  readonly idleGraceMs?: number;
  /** Listening sockets of the process before this one. */
  readonly inherited?: readonly InheritedListener[];
}

export interface Health {
  readonly healthy: boolean;
  /** Anything that JSON carries. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Where the figures of requests go, and what `/metrics` answers. */
export interface GatewayMetrics {
  observe(request: RequestFigures): void;
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

export interface RequestFigures {
  /** Short name of the service; empty when the request reached none. */
  readonly service: string;
  /** Empty when unknown. Only names of the model get here, so that the number of series is bounded. */
  readonly operation: string;
  readonly status: number;
  readonly durationSeconds: number;
}
