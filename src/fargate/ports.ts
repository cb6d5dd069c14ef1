import type { WorkloadView } from "../contracts/engine.ts";

export interface ImageRequest {
  /** As the user wrote it. */
  readonly image: string;
  readonly account: string;
  readonly region: string;
  readonly executionRoleArn?: string;
  /** Of the workload: they tell whose logins at other registries are good for it. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface ResolvedImage {
  /** What the runtime pulls. */
  readonly reference: string;
  /** The digest that the reference's tag has now, where it is known. */
  readonly digest?: string;
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** Turns an image's name into what the runtime pulls, with credentials for it. The registry's room answers it. */
export interface ImageResolver {
  /** @throws Problem `not-found`, `invalid`, `unavailable` with the registry's words. */
  resolve(request: ImageRequest): Promise<ResolvedImage>;
}

/** AWS credentials as the container credentials endpoint answers them; `Expiration` is ISO 8601. */
export interface RoleCredentialFields {
  readonly RoleArn: string;
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly Token: string;
  readonly Expiration: string;
}

/** Issues a task role's credentials; STS answers it. */
export interface RoleCredentials {
  issue(roleArn: string, sessionName: string): Promise<RoleCredentialFields>;
}

export interface MetadataAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** The credentials of a pod by the token of its service account; EKS answers it. */
export interface PodCredentials {
  answer(view: WorkloadView, token: string): Promise<MetadataAnswer>;
}

export type MetadataVersion = "v3" | "v4";

/** Writes the JSON of the task metadata endpoint; the orchestrator that owns the workload answers it. `undefined`: it does not know the workload. */
export interface MetadataRenderer {
  task(
    view: WorkloadView,
    options: { readonly version: MetadataVersion; readonly withTags: boolean; readonly storageUsedBytes: number },
  ): Promise<unknown>;
  container(view: WorkloadView, container: string, options: { readonly version: MetadataVersion }): Promise<unknown>;
}
