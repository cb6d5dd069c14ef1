import type { CoreV1Event, V1ConfigMap } from "@kubernetes/client-node";
import type { Controller } from "../contracts/controller.ts";
import { AWS_AUTH } from "./kubernetes-client.ts";
import type { KubeletRoom } from "./room.ts";

/**
 * Carries each cluster's ConfigMap `kube-system/aws-auth` to whoever tells who may come in, as it changes; what is wrong with it is told beside it,
 * by an event. Keyed by cluster.
 */
export function createAwsAuthController({ ports, connections, clock, ids, logger }: KubeletRoom): Controller {
  return {
    name: "eks-aws-auth",
    watches: [],
    sources(wake) {
      const stack = new DisposableStack();
      stack.use(ports.clusters.watch(wake));
      stack.use(
        connections.onSource(({ kind, namespace, name, clusterKey }) => {
          if (kind === "configMaps" && namespace === AWS_AUTH.namespace && name === AWS_AUTH.name) wake(clusterKey);
        }),
      );
      return stack;
    },
    initialKeys: async () => (await ports.clusters.list()).map(({ key }) => key),
    async reconcile(key) {
      const cluster = await ports.clusters.get(key);
      if (cluster === undefined) return;
      const client = await connections.to(cluster);
      const map = await client.awsAuth();
      const { resourceVersion = "" } = map?.metadata ?? {};
      const faults = await ports.identities.put(key, map === undefined ? undefined : { data: map.data ?? {}, resourceVersion });
      if (map === undefined) return;
      for (const fault of faults) {
        logger.warn(`EKS cluster ${cluster.name}: in the ConfigMap kube-system/aws-auth ${fault}`, { clusterArn: cluster.arn });
        const event = faultEvent(map, fault, { suffix: ids.hex(16), nowMs: clock.nowMs() });
        await client
          .sendEvent("kube-system", event)
          .catch((error: unknown) => logger.debug("an event was not kept", { reason: event.reason, err: error }));
      }
    },
  };
}

function faultEvent({ metadata }: V1ConfigMap, message: string, { suffix, nowMs }: { readonly suffix: string; readonly nowMs: number }): CoreV1Event {
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  const at = new Date(nowMs);
  return {
    metadata: { name: `${name}.${suffix}`, namespace },
    involvedObject: { apiVersion: "v1", kind: "ConfigMap", name, namespace, uid, resourceVersion },
    type: "Warning",
    reason: "InvalidIdentityMapping",
    message,
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component: "aws-iam-authenticator" },
    reportingComponent: "aws-iam-authenticator",
    reportingInstance: "",
  };
}
