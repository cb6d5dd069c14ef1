import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox, SandboxSpec } from "../../contracts/container-runtime.ts";
import type { Clock } from "../../core/clock.ts";
import { Problem } from "../../core/problem.ts";
import type { ContainerdPaths } from "./containerd-config.ts";
import { isNotFound, problemOf, RpcError } from "./grpc.ts";
import type { ContainerdClient } from "./grpc.ts";
import { removingHalfMadeSnapshots } from "./half-made-snapshots.ts";
import type { PodSandboxConfig, PodSandboxItem } from "./messages.ts";
import { endingStrayTasks } from "./stray-tasks.ts";

/** Annotation with what a later run must know of a sandbox, as JSON. */
const SPEC_ANNOTATION = "tidegate/sandbox";
const NAME_RESERVED = /is reserved for/;
const RESERVED_WAIT_MS = 15_000;

interface KeptSpec {
  readonly hostname: string;
  readonly logDirectory: string;
  readonly cgroupParent: string;
  readonly sharePidNamespace: boolean;
}

interface Known {
  readonly config: PodSandboxConfig;
  readonly pid: number | undefined;
  readonly netnsPath: string | undefined;
}

/** The sandboxes of one containerd. */
export class Sandboxes {
  readonly #client: ContainerdClient;
  readonly #clock: Clock;
  readonly #paths: ContainerdPaths;
  readonly #known = new Map<string, Known>();

  constructor(client: ContainerdClient, clock: Clock, paths: ContainerdPaths) {
    this.#client = client;
    this.#clock = clock;
    this.#paths = paths;
  }

  /** As `ContainerRuntime.createSandbox`. One of the same name that has ended is replaced. */
  async create(spec: SandboxSpec): Promise<Sandbox> {
    const config = sandboxConfig(spec);
    const deadlineMs = this.#clock.steadyMs() + RESERVED_WAIT_MS;
    for (;;) {
      try {
        const make = () => this.#client.runPodSandbox({ config, runtimeHandler: spec.runtimeHandler });
        const { podSandboxId } = await removingHalfMadeSnapshots(this.#paths.root, make);
        await this.#hideHostsFile(podSandboxId);
        return await this.#mustInspect(podSandboxId);
      } catch (error) {
        if (!(error instanceof RpcError) || !NAME_RESERVED.test(error.message)) throw problemOf(error, `cannot make sandbox ${spec.name}`, "invalid");
        const existing = await this.#existing(spec.name);
        if (existing !== undefined) return existing;
        // Being made by a call whose caller is gone: it ends in a sandbox, or in the name being free.
        if (this.#clock.steadyMs() > deadlineMs) throw problemOf(error, `cannot make sandbox ${spec.name}`);
        await this.#clock.sleep(50);
      }
    }
  }

  async stop(id: string): Promise<void> {
    await ignoringNotFound(this.#client.stopPodSandbox({ podSandboxId: id }), `cannot stop sandbox ${id}`);
  }

  async remove(id: string): Promise<void> {
    const removal = endingStrayTasks(this.#client, () => this.#client.removePodSandbox({ podSandboxId: id }));
    await ignoringNotFound(removal, `cannot remove sandbox ${id}`);
    this.#known.delete(id);
  }

  async list(): Promise<readonly Sandbox[]> {
    const { items } = await this.#client.listPodSandbox({});
    const listed = new Set(items.map((item) => item.id));
    for (const id of this.#known.keys()) if (!listed.has(id)) this.#known.delete(id);
    return await Promise.all(items.map(async (item) => sandboxOf(item, await this.#lookAt(item))));
  }

  async inspect(id: string): Promise<Sandbox | undefined> {
    try {
      const { status, info } = await this.#client.podSandboxStatus({ podSandboxId: id, verbose: true });
      const known = knownOf(status, info);
      this.#known.set(id, known);
      return sandboxOf(status, known);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw problemOf(error, `cannot look at sandbox ${id}`);
    }
  }

  /** True for the id of a sandbox of ours; containers have ids of the same form. */
  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** What CRI wants to hear again with each container. @throws Problem `not-found`. */
  async configOf(id: string): Promise<PodSandboxConfig> {
    const known = this.#known.get(id);
    if (known !== undefined) return known.config;
    await this.#mustInspect(id);
    return (this.#known.get(id) as Known).config;
  }

  async #mustInspect(id: string): Promise<Sandbox> {
    const sandbox = await this.inspect(id);
    if (sandbox === undefined) throw new Problem("not-found", `sandbox ${id} does not exist`);
    return sandbox;
  }

  async #existing(name: string): Promise<Sandbox | undefined> {
    const { items } = await this.#client.listPodSandbox({});
    const item = items.find((item) => item.metadata?.name === name);
    if (item === undefined) return undefined;
    if (item.state === "SANDBOX_READY") return await this.inspect(item.id);
    await this.stop(item.id);
    await this.remove(item.id);
    return undefined;
  }

  async #lookAt(item: PodSandboxItem): Promise<Known> {
    const known = this.#known.get(item.id);
    if (known !== undefined) return known;
    await this.inspect(item.id);
    return this.#known.get(item.id) ?? { config: configOf(item), pid: undefined, netnsPath: undefined };
  }

  /** CRI copies the host's hosts file into each sandbox; containers that mount none of their own would see it. */
  async #hideHostsFile(id: string): Promise<void> {
    await writeFile(
      join(this.#paths.root, "io.containerd.grpc.v1.cri/sandboxes", id, "hosts"),
      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n",
    );
  }
}

function sandboxConfig(spec: SandboxSpec): PodSandboxConfig {
  return criConfig(spec.name, spec.labels, {
    hostname: spec.hostname ?? "localhost",
    logDirectory: spec.logDirectory,
    cgroupParent: spec.cgroupParent,
    sharePidNamespace: spec.sharePidNamespace,
  });
}

function criConfig(name: string, labels: Readonly<Record<string, string>>, kept: KeptSpec): PodSandboxConfig {
  return {
    metadata: { name, uid: name, namespace: "tidegate", attempt: 0 },
    hostname: kept.hostname,
    logDirectory: kept.logDirectory,
    // Anything here keeps the host's resolv.conf out; 1 is the default anyway.
    dnsConfig: { servers: [], searches: [], options: ["ndots:1"] },
    labels,
    annotations: { [SPEC_ANNOTATION]: JSON.stringify(kept) },
    linux: {
      cgroupParent: kept.cgroupParent,
      securityContext: {
        namespaceOptions: { network: "POD", pid: kept.sharePidNamespace ? "POD" : "CONTAINER", ipc: "POD" },
        readonlyRootfs: true,
        seccomp: { profileType: "RuntimeDefault" },
      },
    },
  };
}

function configOf(item: PodSandboxItem): PodSandboxConfig {
  const kept = JSON.parse(item.annotations[SPEC_ANNOTATION] ?? "{}") as Partial<KeptSpec>;
  return criConfig(item.metadata?.name ?? "", item.labels, {
    hostname: kept.hostname ?? "localhost",
    logDirectory: kept.logDirectory ?? "",
    cgroupParent: kept.cgroupParent ?? "",
    sharePidNamespace: kept.sharePidNamespace ?? false,
  });
}

/** The part of containerd's verbose answer that is used. */
interface VerboseInfo {
  readonly pid?: number;
  readonly runtimeSpec?: { readonly linux?: { readonly namespaces?: readonly { readonly type: string; readonly path?: string }[] } };
}

function knownOf(status: PodSandboxItem, info: Readonly<Record<string, string>>): Known {
  const verbose = JSON.parse(info["info"] ?? "{}") as VerboseInfo;
  return {
    config: configOf(status),
    pid: verbose.pid,
    netnsPath: verbose.runtimeSpec?.linux?.namespaces?.find((namespace) => namespace.type === "network")?.path,
  };
}

function sandboxOf(item: PodSandboxItem, known: Known): Sandbox {
  const ready = item.state === "SANDBOX_READY";
  return {
    id: item.id,
    name: item.metadata?.name ?? "",
    labels: item.labels,
    ready,
    createdAtMs: nanosToMs(item.createdAt),
    ...(ready && known.pid ? { pid: known.pid } : {}),
    ...(ready && known.netnsPath ? { netnsPath: known.netnsPath } : {}),
  };
}

/** CRI's nanoseconds since the epoch do not fit a number. */
export function nanosToMs(nanos: string): number {
  return Number(BigInt(nanos) / 1_000_000n);
}

/** Removing what is not there succeeds. */
export async function ignoringNotFound(call: Promise<unknown>, doing: string): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isNotFound(error)) throw problemOf(error, doing);
  }
}
