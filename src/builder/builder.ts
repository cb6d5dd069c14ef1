/** Builds images from Dockerfiles with whatever builder the machine has. Runs on the client's side: the CLI calls it, the server never does. */

/** Where a built image goes and base images come from: one Tidegate's registry. */
export interface RegistryAccess {
  /** e.g. `localhost:4566`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

export interface BuildRequest {
  /** The build context; absolute. */
  readonly contextFolder: string;
  /** Absolute; usually `<contextFolder>/Dockerfile`. */
  readonly dockerfile: string;
  /** Full name to push to, e.g. `localhost:4566/shop:20261123-1`. */
  readonly image: string;
  readonly registry: RegistryAccess;
  /** Base image names (`docker.io/library/node:26-slim`) that the registry keeps as public images of its own. */
  readonly publicImages: readonly string[];
  readonly buildArguments: Readonly<Record<string, string>>;
  /** `RUN --mount=type=secret,id=…`: id -> file on this machine. */
  readonly buildSecrets: Readonly<Record<string, string>>;
  readonly target?: string;
  /** A CA bundle that RUN steps shall trust (`--trust-host-ca`). */
  readonly caBundle?: string;
  /** A folder for the builder's own storage and for temporary files. */
  readonly stateFolder: string;
  /** Aborted: the builder is ended. */
  readonly signal?: AbortSignal;
  /** Called with each line that the builder prints. */
  readonly onLine: (line: string) => void;
}

export interface Builder {
  readonly name: "buildkit" | "docker" | "buildah";
  /** e.g. `buildah 1.28.2`, for progress and `doctor`. */
  readonly version: string;
  /**
   * Builds and pushes. Answers the digest of what was pushed.
   * @throws Problem `unavailable` with the builder's last lines and what to do; `invalid` when there is no such Dockerfile.
   */
  build(request: BuildRequest): Promise<{ readonly digest: string }>;
}
