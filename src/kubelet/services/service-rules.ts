import type { VirtualAddresses } from "../../contracts/network.ts";
import type { TaskHook } from "../../contracts/task-hook.ts";
import { HOOK_DONE } from "../../contracts/task-hook.ts";
import type { Controller, ReconcileResult } from "../../contracts/controller.ts";
import { messageOf } from "../../core/problem.ts";
import { OWNER, SERVICES_HOOK } from "../compile-pod.ts";
import type { KubernetesClient } from "../kubernetes-client.ts";
import type { KubeCluster } from "../ports.ts";
import { PLACEMENTS } from "../records.ts";
import type { KubeletRoom } from "../room.ts";
import { planServices } from "./plan-services.ts";

/** Changes that come together are carried out together: a roll-out changes a slice several times. */
const GATHER_MS = 100;
const ASK_AGAIN_MS = 1000;
/** How long pods that were there at start may keep the rules from being brought up to date. */
const CONFIRMED_WITHIN_MS = 60_000;
const AT_ONCE = 4;

/**
 * Services' addresses in the pods' namespaces: before a pod's first container is made (the hook), and whenever services or endpoints change (the
 * controller, keyed by cluster). After a start of Tidegate what it says of its pods comes first: until Kubernetes has heard of each how it
 * is now, endpoints may be of pods that are gone, and the rules stay as they are.
 */
export function createServiceRules(room: KubeletRoom): { readonly controller: Controller; readonly hook: TaskHook } {
  const tables = new Tables();
  const startedMs = room.clock.steadyMs();
  return {
    controller: {
      name: "eks-services",
      watches: [],
      sources: (wake) => room.connections.onService(wake),
      initialKeys: async () => (await room.ports.clusters.list()).map(({ key }) => key),
      async reconcile(key): Promise<ReconcileResult | void> {
        const cluster = await room.ports.clusters.get(key);
        if (cluster === undefined) return tables.forget(key);
        await room.clock.sleep(GATHER_MS);
        const client = await room.connections.to(cluster);
        const placements = (await room.store.list(PLACEMENTS, { prefix: `${key}|` })).filter(({ value }) => value.address !== undefined);
        const isLate = room.clock.steadyMs() - startedMs > CONFIRMED_WITHIN_MS;
        if (!isLate && placements.some((placement) => !room.confirmed.has(placement.key))) return { requeueAfterMs: ASK_AGAIN_MS };
        const addresses = tables.of(cluster, client);
        const attachmentIds = placements.map(({ value }) => value.attachmentId);
        const failed = await eachOf(attachmentIds, (attachmentId) => room.ports.network.translate(attachmentId, addresses));
        if (failed.length > 0) throw failed[0];
      },
    },
    hook: {
      name: SERVICES_HOOK,
      async prestart({ workload }) {
        const { owner, clusterKey = "" } = workload.labels;
        const cluster = owner === OWNER ? await room.ports.clusters.get(clusterKey) : undefined;
        if (cluster === undefined) return HOOK_DONE;
        try {
          await room.ports.network.translate(workload.network.attachmentId, tables.of(cluster, await room.connections.to(cluster)));
          return HOOK_DONE;
        } catch (error) {
          return { done: false, retryAfterMs: ASK_AGAIN_MS, waitingFor: `the services of cluster ${cluster.name}: ${messageOf(error)}` };
        }
      },
    },
  };
}

/** The last plan of each cluster; the same object as long as it says the same. */
class Tables {
  readonly #known = new Map<string, { readonly text: string; readonly addresses: VirtualAddresses }>();

  of({ key, serviceCidr }: KubeCluster, client: KubernetesClient): VirtualAddresses {
    const addresses = planServices({ services: client.services(), slices: client.endpointSlices(), cidr: serviceCidr });
    const text = JSON.stringify(addresses);
    const known = this.#known.get(key);
    if (known?.text === text) return known.addresses;
    this.#known.set(key, { text, addresses });
    return addresses;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }
}

/** A few at once; answers what went wrong, and one's failure is not the others'. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<readonly unknown[]> {
  const waiting = [...items];
  const failed: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item).catch((error: unknown) => failed.push(error));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failed;
}
