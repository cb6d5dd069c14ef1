import { collectDefaultMetrics, Histogram, Registry } from "prom-client";
import type { GatewayMetrics } from "../gateway/options.ts";

export interface Metrics extends GatewayMetrics {
  /** Others add theirs here; see `room-metrics.ts`. */
  readonly registry: Registry;
  observeCommit(this: void, seconds: number): void;
}

/** What `/metrics` answers. Here: requests by operation, commits of the store, the process itself. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "tidegate_" });
  const requests = new Histogram({
    name: "tidegate_request_duration_seconds",
    help: "Duration of AWS API requests",
    labelNames: ["service", "operation", "status"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
  const commits = new Histogram({
    name: "tidegate_store_commit_duration_seconds",
    help: "Duration of commits to the database, the sync to disk included",
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 2],
    registers: [registry],
  });
  return {
    registry,
    observe: ({ service, operation, status, durationSeconds }) => requests.observe({ service, operation, status: String(status) }, durationSeconds),
    observeCommit: (seconds) => commits.observe(seconds),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
