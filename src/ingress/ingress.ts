import type { Controller } from "../contracts/controller.ts";
import type { Toolbox } from "../contracts/service.ts";
import type { Store } from "../contracts/store.ts";
import type { TaskHook } from "../contracts/task-hook.ts";
import { Connections } from "./connections.ts";
import { createDrainHook } from "./drain-hook.ts";
import { createGateController } from "./gate-controller.ts";
import type { IngressPorts } from "./ports.ts";
import { STACKS } from "./records.ts";
import type { IngressRoom } from "./room.ts";
import { createStackController } from "./stack-controller.ts";

export interface IngressOptions {
  readonly store: Store;
  readonly ports: IngressPorts;
  readonly toolbox: Toolbox;
  /** By which name pods' workloads ask to be drained. */
  readonly drainHook: string;
}

export interface Ingress {
  readonly controllers: readonly Controller[];
  readonly hooks: readonly TaskHook[];
}

/** Load balancers of EKS clusters: Services of type LoadBalancer and Ingresses of class `alb` become ELBv2's, with pods as targets. */
export function createIngress({ store, ports, toolbox, drainHook }: IngressOptions): Ingress {
  const logger = toolbox.logger.child({ room: "ingress" });
  const connections = new Connections({ clusters: ports.clusters, clock: toolbox.clock, logger });
  const room: IngressRoom = { ...toolbox, logger, store, ports, connections };
  return {
    controllers: [createGateController(room), createStackController(room)],
    hooks: [createDrainHook(ports.elbv2, { name: drainHook, clock: toolbox.clock })],
  };
}

/** Whether a cluster has load balancers still: its security group stays in use so long. */
export async function hasBalancers(store: Store, clusterKey: string): Promise<boolean> {
  return (await store.list(STACKS, { prefix: `${clusterKey}|`, limit: 1 })).length > 0;
}
