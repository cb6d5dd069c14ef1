import type { Controller } from "../contracts/controller.ts";
import { Problem } from "../core/problem.ts";
import type { ClusterObjects } from "./cluster-objects.ts";
import { ingressStack, isOurs, membersOf } from "./ingress-group.ts";
import { planIngress } from "./plan-ingress.ts";
import { planService, wantsBalancer } from "./plan-service.ts";
import type { IngressCluster } from "./ports.ts";
import { gatePolicy, GATE_BINDING, type Gated } from "./readiness.ts";
import type { IngressRoom } from "./room.ts";

/**
 * Holds the connection to each cluster that serves, gives it the IngressClass `alb`, and tells its API server which pods are to get which
 * readiness gates. Keyed by cluster.
 */
export function createGateController(room: IngressRoom): Controller {
  const { ports, connections } = room;
  const written = new Map<string, string>();
  return {
    name: "eks-readiness-gates",
    watches: [],
    sources(wake) {
      const stack = new DisposableStack();
      stack.use(ports.clusters.watch(wake));
      stack.use(
        connections.watch(({ clusterKey, kind }) => {
          if (kind !== "pod" && kind !== "endpoint-slice") wake(clusterKey);
        }),
      );
      return stack;
    },
    initialKeys: () => ports.clusters.keys(),
    async reconcile(key) {
      const cluster = await ports.clusters.get(key);
      if (cluster === undefined) {
        written.delete(key);
        // A cluster that only does not serve for a while is connected anew then.
        if ((await ports.clusters.uidOf(key)) === undefined) connections.close(key);
        return;
      }
      const objects = await connections.to(cluster);
      await objects.ensureClass();
      const policy = gatePolicy(groupsOf(cluster, objects));
      const text = `${cluster.uid} ${JSON.stringify(policy.spec?.variables)}`;
      if (written.get(key) === text) return;
      await objects.admit(policy, GATE_BINDING);
      written.set(key, text);
    },
  };
}

/** Of all that is planned: a gate is there before the group's first pod is. What cannot be planned has no groups. */
function groupsOf(cluster: IngressCluster, { services, ingresses, classes }: ClusterObjects): readonly Gated[] {
  const service = (namespace: string, name: string) =>
    services.list().find(({ metadata }) => metadata?.namespace === namespace && metadata.name === name);
  const ours = ingresses.list().filter((ingress) => isOurs(ingress, classes.list()));
  const stacks = new Map(ours.map((ingress) => [ingressStack(ingress).id, ingressStack(ingress)]));
  return [
    ...services
      .list()
      .filter(wantsBalancer)
      .map((each) => () => planService(cluster, each)),
    ...[...stacks.values()].map(
      (stack) => () =>
        planIngress({ cluster, stack, members: membersOf(stack.id, ingresses.list(), classes.list()), classes: classes.list(), service }),
    ),
  ].flatMap((plan) => {
    try {
      return plan().groups;
    } catch (error) {
      if (error instanceof Problem) return [];
      throw error;
    }
  });
}
