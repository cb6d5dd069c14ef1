import type { Toolbox } from "../contracts/service.ts";
import type { Store } from "../contracts/store.ts";
import type { Connections } from "./connections.ts";
import type { IngressPorts } from "./ports.ts";

/** What the parts of this room share. */
export interface IngressRoom extends Toolbox {
  readonly store: Store;
  readonly ports: IngressPorts;
  readonly connections: Connections;
}
