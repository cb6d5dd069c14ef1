import type { Controller } from "../contracts/controller.ts";
import type { TaskHook } from "../contracts/task-hook.ts";
import type { Engine } from "../contracts/engine.ts";
import type { Toolbox } from "../contracts/service.ts";
import type { Store } from "../contracts/store.ts";
import { bootId } from "../host/boot-id.ts";
import { createKubeletServer, type KubeletServer } from "./api/server.ts";
import { createAdmissionController } from "./admission-controller.ts";
import { createAwsAuthController } from "./aws-auth-controller.ts";
import { type ClusterObjects, clusterObjects } from "./cluster-objects.ts";
import { Connections } from "./connections.ts";
import { createLeaseController } from "./lease-controller.ts";
import { createPodController } from "./pod-controller.ts";
import { PodSourceReader } from "./pod-sources.ts";
import type { KubeletPorts } from "./ports.ts";
import type { KubeletRoom } from "./room.ts";
import { createServiceRules } from "./services/service-rules.ts";
import { OWNER } from "./compile-pod.ts";
import { loginsOf, type PullLogin } from "./pull-secrets.ts";
import { createVolumeController } from "./volume-controller.ts";

export interface KubeletOptions {
  readonly store: Store;
  readonly engine: Engine;
  readonly ports: KubeletPorts;
  readonly toolbox: Toolbox;
}

export interface Kubelet {
  readonly controllers: readonly Controller[];
  /** To be registered with the compute layer. */
  readonly hooks: readonly TaskHook[];
  readonly objects: ClusterObjects;
  /**
   * The logins at registries that a workload's pod has by its imagePullSecrets, as these are now; none for what is no pod's.
   * @throws Problem `unavailable` while the cluster's API server does not answer.
   */
  pullLogins(labels: Readonly<Record<string, string>>): Promise<readonly PullLogin[]>;
  /** What the nodes' kubelets are asked. */
  readonly server: KubeletServer;
}

/** The node side of EKS: pods of Fargate profiles get a place, a node, and a workload that runs them, and services their addresses. */
export function createKubelet({ store, engine, ports, toolbox }: KubeletOptions): Kubelet {
  const logger = toolbox.logger.child({ room: "kubelet" });
  const connections = new Connections({ clusters: ports.clusters, clock: toolbox.clock, logger });
  const own = { connections, sources: new PodSourceReader(toolbox), bootId: bootId(), confirmed: new Set<string>() };
  const room: KubeletRoom = { ...toolbox, ...own, logger, store, engine, ports };
  const { controller, hook } = createServiceRules(room);
  return {
    controllers: [
      createAdmissionController(room),
      createPodController(room),
      createVolumeController(room),
      createLeaseController(room),
      createAwsAuthController(room),
      controller,
    ],
    hooks: [hook],
    pullLogins: (labels) => pullLogins(room, labels),
    objects: clusterObjects({ clusters: ports.clusters, connections }),
    server: createKubeletServer(room),
  };
}

async function pullLogins({ ports, connections }: KubeletRoom, labels: Readonly<Record<string, string>>): Promise<readonly PullLogin[]> {
  const { owner, clusterKey = "", podUid = "" } = labels;
  const cluster = owner === OWNER ? await ports.clusters.get(clusterKey) : undefined;
  if (cluster === undefined) return [];
  const client = await connections.to(cluster);
  const { metadata, spec } = client.pod(podUid) ?? {};
  const names = (spec?.imagePullSecrets ?? []).map(({ name = "" }) => name);
  const found = await Promise.all(names.map((name) => client.secret(metadata?.namespace ?? "", name)));
  return loginsOf(found.flatMap((secret) => (secret === undefined ? [] : [secret.data])));
}
