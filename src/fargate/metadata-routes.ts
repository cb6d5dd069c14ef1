import type { ContainerStats, Engine, WorkloadView } from "../contracts/engine.ts";
import { messageOf } from "../core/problem.ts";
import type { CredentialsCache } from "./credentials-cache.ts";
import { dockerStats } from "./docker-stats.ts";
import type { MetadataAnswer, MetadataRenderer, MetadataVersion, PodCredentials } from "./ports.ts";

export interface MetadataRoutesOptions {
  readonly engine: Engine;
  readonly renderer: MetadataRenderer;
  readonly credentials: CredentialsCache;
  readonly podCredentials: PodCredentials;
  /** Of the workload's credentials endpoint. */
  readonly credentialsIdOf: (workloadId: string) => Promise<string | undefined>;
  /** What a workload has on disk, as measured last. */
  readonly storageUsedBytes: (workloadId: string) => number;
  readonly onlineCpus: number;
}

/** Who calls and what for. */
export interface MetadataCall {
  readonly method: string;
  readonly path: string;
  /** The workload at the source address; `undefined`: nobody of ours. */
  readonly workloadId: string | undefined;
  /** The header of that name. */
  readonly authorization?: string;
}

/**
 * The task metadata and credentials endpoints, and the one of EKS Pod Identity's agent. A caller gets what is its own and nothing else, whatever ids it names.
 * @see fargate-semantics §5.2, §5.3.
 */
export class MetadataRoutes {
  readonly #options: MetadataRoutesOptions;
  /** By DockerId: the sample of the call before. */
  readonly #samples = new Map<string, ContainerStats>();

  constructor(options: MetadataRoutesOptions) {
    this.#options = options;
  }

  async answer(call: MetadataCall): Promise<MetadataAnswer> {
    const [root = "", second = "", ...rest] = call.path.split("/").filter((part) => part !== "");
    if (call.method !== "GET") return { status: 405, body: { message: `${call.method} is not allowed here` } };
    const view = call.workloadId === undefined ? undefined : await this.#options.engine.get(call.workloadId);
    if (view === undefined) return { status: 403, body: { message: "This address belongs to no running task." } };
    if (root === "v2" && second === "credentials") return this.#credentials(view, rest);
    if (root === "v1" && second === "credentials" && rest.length === 0) return this.#options.podCredentials.answer(view, call.authorization ?? "");
    if (root === "v3" || root === "v4") return this.#metadata(view, { version: root, dockerId: second, rest });
    return { status: 404, body: { message: `There is no ${call.path} at the task metadata endpoint of Tidegate.` } };
  }

  async #credentials(view: WorkloadView, [id]: readonly string[]): Promise<MetadataAnswer> {
    if (id === undefined) return credentialsError(400, "NoIdInRequest", "CredentialsV2Request: No ID in the request");
    const { taskRoleArn } = view.workload;
    const own = await this.#options.credentialsIdOf(view.workload.id);
    if (taskRoleArn === undefined || own !== id)
      return credentialsError(400, "InvalidIdInRequest", "CredentialsV2Request: Invalid ID in the request");
    try {
      const fields = await this.#options.credentials.get(view.workload.id, taskRoleArn);
      return { status: 200, body: fields };
    } catch (error) {
      return credentialsError(503, "CredentialsUninitialized", `CredentialsV2Request: Credentials uninitialized for ID: ${messageOf(error)}`);
    }
  }

  async #metadata(
    view: WorkloadView,
    wanted: { readonly version: MetadataVersion; readonly dockerId: string; readonly rest: readonly string[] },
  ): Promise<MetadataAnswer> {
    const { version, dockerId } = wanted;
    const container = view.status.containers.find((each) => each.runtimeId === dockerId);
    if (container === undefined) {
      const text = `${version.toUpperCase()} container metadata handler: unable to get container ID from request: unable to get docker ID from v3 endpoint ID: ${dockerId}`;
      return { status: 404, body: text };
    }
    const what = wanted.rest.join("/");
    if (what === "stats") return { status: 200, body: await this.#stats(view, container.name) };
    if (what === "task/stats") return { status: 200, body: await this.#allStats(view) };
    const { renderer } = this.#options;
    if (what === "") return found(await renderer.container(view, container.name, { version }));
    if (what === "task" || what === "taskWithTags") {
      const storageUsedBytes = this.#options.storageUsedBytes(view.workload.id);
      return found(await renderer.task(view, { version, withTags: what === "taskWithTags", storageUsedBytes }));
    }
    return { status: 404, body: { message: `There is no ${what} at the task metadata endpoint of Tidegate.` } };
  }

  async #allStats(view: WorkloadView): Promise<object> {
    const entries = await Promise.all(
      view.status.containers
        .filter((container) => container.runtimeId !== undefined)
        .map(async (container) => [container.runtimeId ?? "", await this.#stats(view, container.name)] as const),
    );
    return Object.fromEntries(entries);
  }

  async #stats(view: WorkloadView, name: string): Promise<object | null> {
    const now = await this.#options.engine.stats?.(view.workload.id, name);
    const id = view.status.containers.find((container) => container.name === name)?.runtimeId;
    if (now === undefined || id === undefined) return null;
    const before = this.#samples.get(id);
    this.#samples.set(id, now);
    return dockerStats(now, before, { id, name, onlineCpus: this.#options.onlineCpus });
  }

  /** Forgets the samples of a workload that has stopped. */
  forget(runtimeIds: readonly string[]): void {
    for (const id of runtimeIds) this.#samples.delete(id);
  }
}

function found(body: unknown): MetadataAnswer {
  return body === undefined ? { status: 404, body: "unable to find the task's metadata" } : { status: 200, body };
}

function credentialsError(status: number, code: string, message: string): MetadataAnswer {
  return { status, body: { code, message, HTTPErrorCode: status } };
}
