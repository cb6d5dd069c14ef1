import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import { isProblem } from "../core/problem.ts";
import { admissionPolicy, FIXED_SIZE_BINDING, FIXED_SIZE_POLICY, POLICY_BINDING, policyMark, probePod } from "./admission-policy.ts";
import { IDENTITY_POLICY_BINDING, identityPolicy } from "./identity-policy.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import { SCHEDULER_NAME } from "./match-profile.ts";
import { PLACEMENTS } from "./records.ts";
import type { KubeletRoom } from "./room.ts";

const LOOK_AGAIN_MS = 100;
/** Where somebody's own rules refuse the probe, the policy is taken for being in force after so many looks. */
const MOST_LOOKS = 100;

/** Tells each cluster's API server which pods are on Fargate, and which stand for an IAM role, and holds the connection to it. Keyed by cluster. */
export function createAdmissionController(room: KubeletRoom): Controller {
  const { ports, connections } = room;
  /** By cluster: of the policy that was written last, how often it was looked for; 0: it is in force. */
  const looks = new Map<string, { readonly mark: string; readonly count: number }>();
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
      stack.use(ports.podIdentities.watch(wake));
      return stack;
    },
    initialKeys: async () => (await ports.clusters.list()).map(({ key }) => key),
    async reconcile(key): Promise<ReconcileResult | void> {
      const cluster = await ports.clusters.get(key);
      if (cluster === undefined) {
        looks.delete(key);
        connections.close(key);
        return;
      }
      const profiles = await ports.profiles.list(key);
      const client = await connections.to(cluster);
      const associated = await ports.podIdentities.list(key);
      // Before the other: who waits for a profile finds both in force.
      await client.admit(identityPolicy({ region: cluster.region, associated }), IDENTITY_POLICY_BINDING);
      await client.admit(admissionPolicy(profiles), POLICY_BINDING);
      await client.forbid(FIXED_SIZE_POLICY, FIXED_SIZE_BINDING);
      const mark = policyMark(profiles);
      const last = looks.get(key);
      const count = last?.mark === mark ? last.count : 1;
      if (count > 0) {
        const isThere = count > MOST_LOOKS || (await isInForce(client, mark));
        looks.set(key, { mark, count: isThere ? 0 : count + 1 });
        if (!isThere) return { requeueAfterMs: LOOK_AGAIN_MS };
      }
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

/** The API server takes up to a second until it goes by what was written; pods that are made meanwhile would be nobody's. */
async function isInForce(client: KubernetesClient, mark: string): Promise<boolean> {
  try {
    return (await client.tryPod(probePod(mark))).spec?.schedulerName === SCHEDULER_NAME;
  } catch (error) {
    // The namespace, or its service account, is not there yet; or it is refused.
    if (isProblem(error, "invalid", "not-found")) return false;
    throw error;
  }
}
