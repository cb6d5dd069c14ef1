import type { Controller } from "../contracts/controller.ts";
import { admissionPolicy, POLICY_BINDING } from "./admission-policy.ts";
import { PLACEMENTS } from "./records.ts";
import type { KubeletRoom } from "./room.ts";

/** Tells each cluster's API server which pods are on Fargate, and holds the connection to it. Keyed by cluster. */
export function createAdmissionController(room: KubeletRoom): Controller {
  const { ports, connections } = room;
  return {
    name: "eks-admission",
    // A pod of a profile that is deleted has come, or has gone.
    watches: [
      {
        collection: PLACEMENTS,
        keysOf: ({ value, previous }) => (value !== undefined && previous !== undefined ? [] : [(value ?? previous)?.clusterKey ?? ""]),
      },
    ],
    sources(wake) {
      const stack = new DisposableStack();
      stack.use(ports.clusters.watch(wake));
      stack.use(ports.profiles.watch(wake));
      return stack;
    },
    initialKeys: async () => (await ports.clusters.list()).map(({ key }) => key),
    async reconcile(key) {
      const cluster = await ports.clusters.get(key);
      if (cluster === undefined) {
        connections.close(key);
        return;
      }
      const profiles = await ports.profiles.list(key);
      const client = await connections.to(cluster);
      await client.admit(admissionPolicy(profiles), POLICY_BINDING);
      const known = profiles.map(({ name }) => name);
      const placements = (await room.store.list(PLACEMENTS, { prefix: `${key}|` })).map(({ value }) => value);
      for (const { uid, profile } of placements.filter((each) => !known.includes(each.profile))) {
        const pod = client.pod(uid);
        if (pod === undefined || pod.metadata?.deletionTimestamp !== undefined) continue;
        room.logger.info(`the pod ${pod.metadata?.namespace}/${pod.metadata?.name} is deleted with its Fargate profile ${profile}`, { podUid: uid });
        await client.deletePod(pod);
      }
      await ports.profiles.admitted(key, { known, inUse: placements.map(({ profile }) => profile) });
    },
  };
}
