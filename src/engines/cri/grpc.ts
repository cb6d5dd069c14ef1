import { join } from "node:path";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { MethodDefinition } from "@grpc/proto-loader";
import type { StandardStreams } from "../../contracts/engine.ts";
import type { Clock } from "../../core/clock.ts";
import { isDiskFull } from "../../core/disk-full.ts";
import { Problem } from "../../core/problem.ts";
import { DISK_ADVICE } from "../../host/disk-guard.ts";
import { CallsUnderWay } from "./calls-under-way.ts";
import type {
  ContainerConfig,
  ContainerItem,
  ContainerStatsMessage,
  ContainerStatusMessage,
  CriImage,
  Envelope,
  Lease,
  NamedImage,
  Nothing,
  PodSandboxConfig,
  PodSandboxItem,
  PodSandboxStatusResponse,
  VersionResponse,
} from "./messages.ts";
import type { AnyMessage } from "./messages.ts";

/** CRI keeps everything in this namespace of containerd, whose instance is private to us anyway. */
export const NAMESPACE = "k8s.io";
const DEFAULT_DEADLINE_MS = 60_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const DROPPED_AGAIN_MS = 100;
/** Changes nothing: where containerd dies before it has answered, it is asked again when it is back, as though it had been asked only then. */
const LOOK = { repeated: true };

const PROTOS = ["cri", "containers", "tasks", "images", "leases", "events", "task-events"];
const definitions = loadSync(
  PROTOS.map((name) => join(import.meta.dirname, "protos", `${name}.proto`)),
  { longs: String, enums: String, defaults: true, keepCase: false },
);

type AnyMethod = MethodDefinition<object, object>;

function methodOf(service: string, method: string): AnyMethod {
  const found = (definitions[service] as Readonly<Record<string, AnyMethod>> | undefined)?.[method];
  if (found === undefined) throw new Error(`no method ${method} in ${service} of protos/`);
  return found;
}

/** Reads the payload of a task event. */
export function decodeTaskEvent(kind: "Start" | "Exit" | "Oom", event: AnyMessage): { readonly containerId: string; readonly id?: string } {
  return methodOf("containerd.events.Codecs", kind).requestDeserialize(event.value) as { containerId: string; id?: string };
}

export interface CallOptions {
  /** From now; default 60 s. While containerd is away, a call waits for it to come back until then. */
  readonly deadlineMs?: number;
  /** Cancels the call, which then fails as `CANCELLED`. */
  readonly signal?: AbortSignal;
}

/** A remote call. @throws RpcError */
export type Call<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;

/** What a failed call said. `code` is gRPC's. */
export class RpcError extends Error {
  readonly code: status;
  readonly method: string;

  constructor(method: string, code: status, details: string) {
    super(details);
    this.name = "RpcError";
    this.code = code;
    this.method = method;
  }
}

/** True when the call's object is not there. containerd answers some of these as `UNKNOWN`, with words. */
export function isNotFound(error: unknown): boolean {
  return error instanceof RpcError && (error.code === status.NOT_FOUND || / not found$|does not exist/.test(error.message));
}

/** Ours, or containerd's own, which it may answer as `UNKNOWN`, with words. */
export function isDeadlineExceeded(error: unknown): boolean {
  return error instanceof RpcError && (error.code === status.DEADLINE_EXCEEDED || error.message.includes("context deadline exceeded"));
}

/** Turns a failed call into a Problem: `unavailable` when containerd is away or slow, `exhausted` on a full disk, `not-found`, else `otherwise`. */
export function problemOf(error: unknown, doing: string, otherwise: "invalid" | "unavailable" = "unavailable"): Problem {
  if (error instanceof Problem) return error;
  if (!(error instanceof RpcError)) return new Problem("unavailable", `${doing}: ${String(error)}`, { cause: error });
  if (isDiskFull(error)) return new Problem("exhausted", `${doing}: ${error.message}. ${DISK_ADVICE}`, { cause: error });
  const away = error.code === status.UNAVAILABLE || error.code === status.CANCELLED || isDeadlineExceeded(error);
  const kind = away ? "unavailable" : isNotFound(error) ? "not-found" : otherwise;
  return new Problem(kind, `${doing}: ${error.message}`, { cause: error });
}

/** The connection to one containerd: its CRI and its own services. Reconnects by itself. */
export class ContainerdClient {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #metadata: Metadata;
  #closed = false;

  constructor(socketPath: string, clock: Clock) {
    this.#clock = clock;
    this.#client = new Client(`unix://${socketPath}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 500,
    });
    this.#metadata = new Metadata({ waitForReady: true });
    this.#metadata.set("containerd-namespace", NAMESPACE);
  }

  readonly version = this.#look<{ version: string }, VersionResponse>("Version");
  /** Those that make what CRI knows only afterwards. */
  readonly making = new CallsUnderWay();
  readonly runPodSandbox = this.#maker(this.#cri<{ config: PodSandboxConfig; runtimeHandler: string }, { podSandboxId: string }>("RunPodSandbox"));
  readonly stopPodSandbox = this.#cri<{ podSandboxId: string }, Nothing>("StopPodSandbox");
  readonly removePodSandbox = this.#cri<{ podSandboxId: string }, Nothing>("RemovePodSandbox");
  readonly podSandboxStatus = this.#look<{ podSandboxId: string; verbose: boolean }, PodSandboxStatusResponse>("PodSandboxStatus");
  readonly listPodSandbox = this.#look<{ filter?: { id: string } }, { items: readonly PodSandboxItem[] }>("ListPodSandbox");
  readonly createContainer = this.#maker(
    this.#cri<{ podSandboxId: string; config: ContainerConfig; sandboxConfig: PodSandboxConfig }, { containerId: string }>("CreateContainer"),
  );
  readonly startContainer = this.#maker(this.#cri<{ containerId: string }, Nothing>("StartContainer"));
  readonly stopContainer = this.#cri<{ containerId: string; timeout: number }, Nothing>("StopContainer");
  readonly removeContainer = this.#cri<{ containerId: string }, Nothing>("RemoveContainer");
  readonly listContainers = this.#look<{ filter?: { id?: string; podSandboxId?: string } }, { containers: readonly ContainerItem[] }>(
    "ListContainers",
  );
  readonly containerStatus = this.#look<{ containerId: string }, { status: ContainerStatusMessage }>("ContainerStatus");
  readonly reopenContainerLog = this.#cri<{ containerId: string }, Nothing>("ReopenContainerLog");
  readonly execSync = this.#cri<
    { containerId: string; cmd: readonly string[]; timeout: number },
    { stdout: Buffer; stderr: Buffer; exitCode: number }
  >("ExecSync");
  readonly exec = this.#cri<{ containerId: string; cmd: readonly string[] } & StandardStreams, { url: string }>("Exec");
  readonly attach = this.#cri<{ containerId: string } & StandardStreams, { url: string }>("Attach");
  readonly portForward = this.#cri<{ podSandboxId: string; port: readonly number[] }, { url: string }>("PortForward");
  readonly listContainerStats = this.#cri<Nothing, { stats: readonly ContainerStatsMessage[] }>("ListContainerStats");

  readonly criImages = this.#lookAtImages<Nothing, { images: readonly CriImage[] }>("ListImages");
  readonly imageStatus = this.#lookAtImages<{ image: { image: string }; verbose: boolean }, { image: CriImage | null; info: Record<string, string> }>(
    "ImageStatus",
  );
  readonly pullImage = this.#maker(
    this.#image<{ image: { image: string }; auth?: { username: string; password: string } }, { imageRef: string }>("PullImage"),
  );
  readonly removeImage = this.#image<{ image: { image: string } }, Nothing>("RemoveImage");

  readonly getImage = this.#unary<{ name: string }, { image: NamedImage }>("containerd.services.images.v1.Images", "Get", LOOK);
  readonly listImageNames = this.#unary<Nothing, { images: readonly NamedImage[] }>("containerd.services.images.v1.Images", "List", LOOK);
  readonly getContainer = this.#unary<{ id: string }, { container: { spec: AnyMessage | null } }>(
    "containerd.services.containers.v1.Containers",
    "Get",
    LOOK,
  );
  readonly updateContainer = this.#unary<{ container: { id: string; spec: AnyMessage }; updateMask: { paths: readonly string[] } }, unknown>(
    "containerd.services.containers.v1.Containers",
    "Update",
  );
  readonly killTask = this.#unary<{ containerId: string; signal: number; all: boolean }, unknown>("containerd.services.tasks.v1.Tasks", "Kill");
  readonly waitTask = this.#unary<{ containerId: string }, { exitStatus: number }>("containerd.services.tasks.v1.Tasks", "Wait");
  readonly deleteTask = this.#unary<{ containerId: string }, unknown>("containerd.services.tasks.v1.Tasks", "Delete");
  readonly listLeases = this.#unary<Nothing, { leases: readonly Lease[] }>("containerd.services.leases.v1.Leases", "List", LOOK);
  readonly deleteLease = this.#unary<{ id: string; sync: boolean }, unknown>("containerd.services.leases.v1.Leases", "Delete");
  readonly publish = this.#unary<{ topic: string; event: AnyMessage }, unknown>("containerd.services.events.v1.Events", "Publish");

  /** A stream of events; ends or errors when containerd goes away. */
  subscribe(filters: readonly string[]): ClientReadableStream<Envelope> {
    const method = methodOf("containerd.services.events.v1.Events", "Subscribe");
    return this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      (bytes) => method.responseDeserialize(bytes) as Envelope,
      { filters },
      this.#metadata,
    );
  }

  close(): void {
    this.#closed = true;
    this.#client.close();
  }

  #cri<Request extends object, Response>(method: string): Call<Request, Response> {
    return this.#unary("runtime.v1.RuntimeService", method);
  }

  #image<Request extends object, Response>(method: string): Call<Request, Response> {
    return this.#unary("runtime.v1.ImageService", method);
  }

  #look<Request extends object, Response>(method: string): Call<Request, Response> {
    return this.#unary("runtime.v1.RuntimeService", method, LOOK);
  }

  #lookAtImages<Request extends object, Response>(method: string): Call<Request, Response> {
    return this.#unary("runtime.v1.ImageService", method, LOOK);
  }

  #maker<Request, Response>(call: Call<Request, Response>): Call<Request, Response> {
    return (request, options) => this.making.run(() => call(request, options));
  }

  #unary<Request extends object, Response>(service: string, name: string, { repeated = false } = {}): Call<Request, Response> {
    const method = methodOf(service, name);
    return async (request, options = {}) => {
      const deadlineMs = this.#clock.steadyMs() + (options.deadlineMs ?? DEFAULT_DEADLINE_MS);
      for (;;) {
        try {
          return (await this.#send(name, method, request, { deadlineMs, signal: options.signal })) as Response;
        } catch (error) {
          // After a start of containerd its sockets answer a moment before CRI has looked at what runs.
          const early = error instanceof RpcError && error.message.includes("server is not initialized yet");
          const dropped = repeated && error instanceof RpcError && error.code === status.UNAVAILABLE && options.signal?.aborted !== true;
          if (!(early || dropped) || this.#closed || this.#clock.steadyMs() > deadlineMs) throw error;
          await this.#clock.sleep(early ? 20 : DROPPED_AGAIN_MS);
        }
      }
    };
  }

  #send(
    name: string,
    method: AnyMethod,
    request: object,
    { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<object | undefined> {
    return new Promise((resolve, reject) => {
      // A signal tells of its end only once.
      if (signal?.aborted === true) return reject(new RpcError(name, status.CANCELLED, "it was cancelled before it was sent"));
      const cancel = (): void => call.cancel();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata,
        // gRPC wants a time of the wall clock, and makes a duration of it at once.
        { deadline: this.#clock.nowMs() + deadlineMs - this.#clock.steadyMs() },
        (error: ServiceError | null, response?: object) => {
          signal?.removeEventListener("abort", cancel);
          if (error === null) resolve(response);
          else reject(new RpcError(name, error.code, error.details));
        },
      );
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }
}
