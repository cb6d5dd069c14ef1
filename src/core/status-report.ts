/** What `/_tidegate/status` answers and `tidegate status` shows. */
export interface StatusReport {
  readonly status: "ok" | "unhealthy";
  readonly version: string;
  readonly instanceId: string;
  /** False while it starts: what runs is still being adopted. */
  readonly serving: boolean;
  /** What was looked at, by name. */
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
  /** Everything that is not well; empty exactly when `status` is `ok`. */
  readonly problems: readonly StatusProblem[];
}

export interface StatusProblem {
  readonly kind:
    | "start"
    | "daemon"
    | "publish"
    | "controller"
    | "disk"
    | "logs"
    | "open files"
    | "service"
    | "tasks"
    | "target-group"
    | "load-balancer"
    | "cluster";
  /** e.g. `service web (cluster default)`. */
  readonly subject: string;
  /** What is wrong and, as far as it is known, why. */
  readonly what: string;
  readonly todo: string;
}

/** What `/_tidegate/images/prune` took away. */
export interface PruneReport {
  /** That were unpacked for tasks; the registry keeps them. */
  readonly images: readonly { readonly name: string; readonly sizeBytes: number }[];
  /** Blobs of the registry that no image has. */
  readonly registryBlobs: number;
  readonly registryBytes: number;
  /** False while an image is being built: its cache stays. */
  readonly builderCache: boolean;
  /** By which the disk has more free than before; others write to it too. */
  readonly freedBytes: number;
}

/** What `/_tidegate/tasks/<id>` answers: the steps of a task's life in more detail than the ECS API has. */
export interface TaskTimeline {
  readonly id: string;
  readonly timeline: readonly { readonly phase: string; readonly atMs: number }[];
}

/** Of an EKS cluster's etcd, oldest first. */
export interface ClusterSnapshots {
  readonly snapshots: readonly { readonly name: string; readonly takenAtMs: number; readonly sizeBytes: number }[];
  /** The one that its objects come back from just now; `none`: it begins empty, as there was no snapshot. */
  readonly recovering?: string;
}
