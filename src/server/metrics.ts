import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ControllerState } from "../control/controller-runner.ts";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import type { GatewayMetrics } from "../gateway/options.ts";

interface Sources {
  readonly supervisor: DaemonSupervisor;
  readonly controllers: () => readonly ControllerState[];
}

/** What `/metrics` answers: requests by operation, controllers, daemons, and the process itself. */
export function createMetrics(sources: Sources): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "tidegate_" });
  const requests = new Histogram({
    name: "tidegate_request_duration_seconds",
    help: "Duration of AWS API requests",
    labelNames: ["service", "operation", "status"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
  gauge(registry, { name: "tidegate_controller_keys", help: "Keys of a controller by state", labelNames: ["controller", "state"] }, (set) => {
    for (const { name, ready, running, delayed, failing } of sources.controllers()) {
      for (const [state, count] of Object.entries({ ready, running, delayed, failing: failing.length })) set({ controller: name, state }, count);
    }
  });
  gauge(registry, { name: "tidegate_daemon_up", help: "1 while a daemon runs", labelNames: ["daemon"] }, (set) => {
    for (const daemon of sources.supervisor.list()) set({ daemon: daemon.name }, daemon.pid === undefined ? 0 : 1);
  });
  gauge(registry, { name: "tidegate_daemon_restarts", help: "Restarts that were not asked for", labelNames: ["daemon"] }, (set) => {
    for (const daemon of sources.supervisor.list()) set({ daemon: daemon.name }, daemon.restarts);
  });
  return {
    observe: ({ service, operation, status, durationSeconds }) => requests.observe({ service, operation, status: String(status) }, durationSeconds),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

interface GaugeOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

function gauge(registry: Registry, options: GaugeOptions, collect: (set: (labels: Record<string, string>, value: number) => void) => void): void {
  const made: Gauge = new Gauge({
    ...options,
    registers: [registry],
    collect() {
      made.reset();
      collect((labels, value) => made.set(labels, value));
    },
  });
}
