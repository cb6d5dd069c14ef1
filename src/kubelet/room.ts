import type { Engine } from "../contracts/engine.ts";
import type { Toolbox } from "../contracts/service.ts";
import type { Store } from "../contracts/store.ts";
import type { Connections } from "./connections.ts";
import type { PodSourceReader } from "./pod-sources.ts";
import type { KubeletPorts } from "./ports.ts";

/** What the parts of this room share. */
export interface KubeletRoom extends Toolbox {
  readonly store: Store;
  readonly engine: Engine;
  readonly ports: KubeletPorts;
  readonly connections: Connections;
  readonly sources: PodSourceReader;
  /** Of the host, now. */
  readonly bootId: string;
  /** Keys of the placements that the pod controller has looked at since Tidegate started: what Kubernetes knows of their pods is true. */
  readonly confirmed: Set<string>;
}
