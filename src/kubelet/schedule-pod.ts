import type { V1Pod } from "@kubernetes/client-node";
import { eventObject } from "./events.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import { chooseLogging } from "./logging/pod-logging.ts";
import { matchProfile, PROFILE_LABEL } from "./match-profile.ts";
import { ephemeralGiB, GREATEST_EPHEMERAL_GIB, sizePod, tooLargeInWords } from "./pod-size.ts";
import type { FargateProfile, KubeCluster } from "./ports.ts";
import { PLACEMENTS, placementKey, type PodPlacement } from "./records.ts";
import type { KubeletRoom } from "./room.ts";
import { notBuiltYet, unsupportedOnFargate } from "./supported.ts";

/** Either where the pod is to be, or why it is nowhere. */
export type Verdict =
  | { readonly fits: true; readonly profile: FargateProfile; readonly cpuUnits: number; readonly memoryMiB: number }
  | { readonly fits: false; readonly reason: string };

/** The Fargate scheduler's judgement of a pod. Pure. */
export function judge(pod: V1Pod, profiles: readonly FargateProfile[]): Verdict {
  const { metadata, spec } = pod;
  if (spec === undefined) return { fits: false, reason: "the pod has no spec" };
  if ((spec.schedulingGates ?? []).length > 0) return { fits: false, reason: "the pod has scheduling gates" };
  const unsupported = unsupportedOnFargate(spec);
  if (unsupported.length > 0) return { fits: false, reason: `Pod not supported on Fargate: ${unsupported.join(", ")}` };
  const later = notBuiltYet(spec);
  if (later.length > 0) return { fits: false, reason: `Pod not supported by this Tidegate: not built yet: ${later.join(", ")}; create it without` };
  const labels = metadata?.labels ?? {};
  const profile = matchProfile(profiles, { namespace: metadata?.namespace ?? "", labels });
  if (profile === undefined) {
    const named = labels[PROFILE_LABEL];
    const what = named === undefined ? "no Fargate profile of the cluster" : `not the Fargate profile ${named}, which its label names`;
    return { fits: false, reason: `The pod matches ${what}; create one whose selectors match its namespace and labels, then create the pod again` };
  }
  const size = sizePod(spec);
  if (size === undefined) return { fits: false, reason: `Pod not supported on Fargate: ${tooLargeInWords(spec)}` };
  if (ephemeralGiB(spec) > GREATEST_EPHEMERAL_GIB)
    return { fits: false, reason: `Pod not supported on Fargate: its containers request more ephemeral storage than ${GREATEST_EPHEMERAL_GIB}Gi` };
  return { fits: true, profile, ...size };
}

/** Gives a pod its place, or tells it once why it has none. */
export async function schedulePod(
  room: KubeletRoom,
  { cluster, client, pod }: { readonly cluster: KubeCluster; readonly client: KubernetesClient; readonly pod: V1Pod },
): Promise<void> {
  const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
  const verdict = judge(pod, await room.ports.profiles.list(cluster.key));
  if (!verdict.fits) return refuse(room, { client, pod, reason: verdict.reason });
  const { profile, cpuUnits, memoryMiB } = verdict;
  const subnet = profile.subnets[Math.floor(room.ids.random() * profile.subnets.length)];
  if (subnet === undefined)
    return refuse(room, { client, pod, reason: `Misconfigured Fargate Profile: none of the subnets of ${profile.name} is there any more` });
  const value: PodPlacement = {
    account: cluster.account,
    region: cluster.region,
    clusterKey: cluster.key,
    clusterUid: cluster.uid,
    namespace,
    name,
    uid,
    profile: profile.name,
    ...subnet,
    attachmentId: room.ids.uuid(),
    cpuUnits,
    memoryMiB,
    startedAtMs: room.clock.nowMs(),
    attempt: 0,
    failures: 0,
    restarts: {},
    told: {},
    ...(await chooseLogging(client, pod)),
  };
  await room.store.transact([{ op: "put", collection: PLACEMENTS, key: placementKey(cluster.key, uid), value }]);
}

interface Refusal {
  readonly client: KubernetesClient;
  readonly pod: V1Pod;
  readonly reason: string;
}

/** The condition in the pod's status remembers that it was told. */
export async function refuse(room: KubeletRoom, { client, pod, reason }: Refusal): Promise<void> {
  const before = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (before?.status === "False" && before.message === reason) return;
  const nowMs = room.clock.nowMs();
  const lastTransitionTime = new Date(nowMs).toISOString();
  await client.writeStatus(pod, {
    conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: reason, lastTransitionTime }],
  });
  const event = eventObject(
    pod,
    { type: "Warning", reason: "FailedScheduling", message: reason, from: "fargate-scheduler" },
    { suffix: room.ids.hex(16), nowMs },
  );
  await client.sendEvent(pod.metadata?.namespace ?? "", event);
}
