import { readFileSync } from "node:fs";
import type { Ulimit } from "../../contracts/workload.ts";
import { Problem } from "../../core/problem.ts";
import { hasSysResource } from "./capabilities.ts";
import { NAMESPACE } from "./grpc.ts";
import type { ContainerdClient } from "./grpc.ts";

/** Fargate's default for open files. */
export const FARGATE_NOFILE: Ulimit = { name: "nofile", soft: 65_535, hard: 65_535 };

/** A limit of the OCI spec. */
export interface Rlimit {
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

/** The rows of /proc/<pid>/limits by the names that ulimits have. */
const LIMIT_ROWS: Readonly<Record<string, string>> = {
  core: "Max core file size",
  cpu: "Max cpu time",
  data: "Max data size",
  fsize: "Max file size",
  locks: "Max file locks",
  memlock: "Max locked memory",
  msgqueue: "Max msgqueue size",
  nice: "Max nice priority",
  nofile: "Max open files",
  nproc: "Max processes",
  rss: "Max resident set",
  rtprio: "Max realtime priority",
  rttime: "Max realtime timeout",
  sigpending: "Max pending signals",
  stack: "Max stack size",
};

export interface HostLimits {
  /** `/proc/self/limits`. */
  readonly limits: string;
  /** The kernel's highest `nofile`, where this process may raise hard limits up to it. */
  readonly maxOpenFiles?: number;
}

/**
 * Turns ulimits into rlimits that this host can give: hard limits above its own are clamped where it may not raise them, which
 * `shortfalls` tells. -1 asks for no limit.
 */
export class Ulimits {
  readonly #hostLimits: string;
  /** `undefined` where hard limits may not be raised. */
  readonly #maxOpenFiles: number | undefined;

  constructor(host: HostLimits = thisHost()) {
    this.#hostLimits = host.limits;
    this.#maxOpenFiles = host.maxOpenFiles;
  }

  /** `asked`, and Fargate's default for `nofile` unless it is among them. @throws Problem `invalid` for an unknown name. */
  rlimits(asked: readonly Ulimit[]): readonly Rlimit[] {
    const all = asked.some((limit) => limit.name === "nofile") ? asked : [...asked, FARGATE_NOFILE];
    return all.map((limit) => this.#rlimit(limit));
  }

  /** In words, which of `asked` this host cannot give in full. */
  shortfalls(asked: readonly Ulimit[]): readonly string[] {
    return asked.flatMap((limit) => {
      const ceiling = this.#ceilingOf(limit);
      const wanted = limit.hard < 0 ? Infinity : limit.hard;
      return wanted <= ceiling
        ? []
        : [`ulimit ${limit.name} is ${ceiling}, this host's hard limit, not ${wanted === Infinity ? "unlimited" : wanted}`];
    });
  }

  #rlimit(limit: Ulimit): Rlimit {
    const ceiling = this.#ceilingOf(limit);
    const bounded = (value: number): number => finite(Math.min(value < 0 ? ceiling : value, ceiling));
    return { type: `RLIMIT_${limit.name.toUpperCase()}`, soft: bounded(limit.soft), hard: bounded(limit.hard) };
  }

  #ceilingOf({ name }: Ulimit): number {
    const row = LIMIT_ROWS[name];
    if (row === undefined) throw new Problem("invalid", `there is no ulimit named ${JSON.stringify(name)}`);
    if (this.#maxOpenFiles === undefined) return this.#hardLimitOfHost(row);
    return name === "nofile" ? this.#maxOpenFiles : Infinity;
  }

  #hardLimitOfHost(row: string): number {
    const line = this.#hostLimits.split("\n").find((line) => line.startsWith(row));
    const hard = line?.slice(row.length).trim().split(/\s+/)[1] ?? "unlimited";
    return hard === "unlimited" ? Infinity : Number(hard);
  }
}

/** RLIM_INFINITY is 2^64-1; JSON numbers of ours hold 2^53-1, which no limit reaches. */
function finite(value: number): number {
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

function thisHost(): HostLimits {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return hasSysResource() ? { limits, maxOpenFiles: Number(readFileSync("/proc/sys/fs/nr_open", "utf8")) } : { limits };
}

/** CRI has no rlimits: writes them into the container's OCI spec, between its creation and its start. */
export async function patchRlimits(client: ContainerdClient, containerId: string, rlimits: readonly Rlimit[]): Promise<void> {
  const { container } = await client.getContainer({ id: containerId });
  if (container.spec === null) throw new Problem("unavailable", `containerd keeps no OCI spec of container ${containerId} in ${NAMESPACE}`);
  const spec = JSON.parse(container.spec.value.toString("utf8")) as { process: { rlimits?: readonly Rlimit[] } };
  const patched = { ...spec, process: { ...spec.process, rlimits } };
  await client.updateContainer({
    container: { id: containerId, spec: { type_url: container.spec.type_url, value: Buffer.from(JSON.stringify(patched)) } },
    updateMask: { paths: ["spec"] },
  });
}
