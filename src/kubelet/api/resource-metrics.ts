import type { ContainerStats } from "../../contracts/engine.ts";

/** What a node and its pod use, at one moment. */
export interface NodeUsage {
  readonly namespace: string;
  readonly pod: string;
  /** Of all that runs for the pod; `undefined` while nothing does. */
  readonly whole: ContainerStats | undefined;
  readonly containers: readonly ContainerUsage[];
}

export interface ContainerUsage {
  readonly name: string;
  readonly startedAtMs: number;
  readonly stats: ContainerStats;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly string[];
}

/** `/metrics/resource`, under the kubelet's names, in Prometheus' text format. Pure. */
export function resourceMetrics({ namespace, pod, whole, containers }: NodeUsage): string {
  const ofPod = { namespace, pod };
  const ofContainer = (name: string): Labels => ({ container: name, ...ofPod });
  const wholes = whole === undefined ? [] : [whole];
  const families: readonly Family[] = [
    {
      name: "container_cpu_usage_seconds_total",
      help: "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
      type: "counter",
      samples: containers.map(({ name, stats }) => sample(ofContainer(name), seconds(stats), stats.atMs)),
    },
    {
      name: "container_memory_working_set_bytes",
      help: "[STABLE] Current working set of the container in bytes",
      type: "gauge",
      samples: containers.map(({ name, stats }) => sample(ofContainer(name), stats.memoryBytes, stats.atMs)),
    },
    {
      name: "container_start_time_seconds",
      help: "[STABLE] Start time of the container since unix epoch in seconds",
      type: "gauge",
      samples: containers.map(({ name, startedAtMs }) => sample(ofContainer(name), startedAtMs / 1000)),
    },
    {
      name: "node_cpu_usage_seconds_total",
      help: "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
      type: "counter",
      samples: wholes.map((stats) => sample({}, seconds(stats), stats.atMs)),
    },
    {
      name: "node_memory_working_set_bytes",
      help: "[STABLE] Current working set of the node in bytes",
      type: "gauge",
      samples: wholes.map((stats) => sample({}, stats.memoryBytes, stats.atMs)),
    },
    {
      name: "pod_cpu_usage_seconds_total",
      help: "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
      type: "counter",
      samples: wholes.map((stats) => sample(ofPod, seconds(stats), stats.atMs)),
    },
    {
      name: "pod_memory_working_set_bytes",
      help: "[STABLE] Current working set of the pod in bytes",
      type: "gauge",
      samples: wholes.map((stats) => sample(ofPod, stats.memoryBytes, stats.atMs)),
    },
    { name: "resource_scrape_error", help: SCRAPE_ERROR, type: "gauge", samples: [sample({}, 0)] },
    { name: "scrape_error", help: SCRAPE_ERROR, type: "gauge", samples: [sample({}, 0)] },
  ];
  return families.flatMap(textOf).join("");
}

const SCRAPE_ERROR = "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise";

type Labels = Readonly<Record<string, string>>;

function seconds({ cpuUsageNanos }: ContainerStats): number {
  return cpuUsageNanos / 1e9;
}

/** Namespaces, pods and containers have names that need no escapes. */
function sample(labels: Labels, value: number, atMs?: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`);
  return `${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}${atMs === undefined ? "" : ` ${Math.round(atMs)}`}`;
}

function textOf({ name, help, type, samples }: Family): readonly string[] {
  return samples.length === 0 ? [] : [`# HELP ${name} ${help}\n`, `# TYPE ${name} ${type}\n`, ...samples.map((each) => `${name}${each}\n`)];
}
