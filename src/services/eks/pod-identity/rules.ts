import { clusterArn } from "../names.ts";
import type { ClusterRecord, PodIdentityAssociationRecord } from "../records.ts";

/** Whose a pod's token is. */
export interface PodClaims {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: { readonly name: string; readonly uid: string };
}

export type ReadClaims = { readonly claims: PodClaims } | { readonly fault: string };

/** What a service account's token says of its pod, once it is proven; a token that is bound to no pod is nobody's. Pure. */
export function readClaims(payload: Readonly<Record<string, unknown>>): ReadClaims {
  const bound = objectOf(payload["kubernetes.io"]);
  const [account, pod] = [objectOf(bound["serviceaccount"]), objectOf(bound["pod"])];
  const texts = [bound["namespace"], account["name"], pod["name"], pod["uid"]];
  if (!texts.every((text): text is string => typeof text === "string" && text !== "")) return { fault: "the token is bound to no pod" };
  const [namespace = "", serviceAccount = "", name = "", uid = ""] = texts;
  return { claims: { namespace, serviceAccount, pod: { name, uid } } };
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/** What a session says of whom it was issued for. Pure. */
export function sessionTags(
  cluster: ClusterRecord,
  { namespace, serviceAccount, pod }: PodClaims,
): readonly { readonly key: string; readonly value: string }[] {
  const tags = {
    "eks-cluster-arn": clusterArn(cluster),
    "eks-cluster-name": cluster.name,
    "kubernetes-namespace": namespace,
    "kubernetes-service-account": serviceAccount,
    "kubernetes-pod-name": pod.name,
    "kubernetes-pod-uid": pod.uid,
  };
  return Object.entries(tags).map(([key, value]) => ({ key, value }));
}

/** `eks-<cluster>-<pod>-<uuid>`, in the 64 characters that a session's name may have. Pure. */
export function sessionNameOf(cluster: ClusterRecord, { pod }: PodClaims, uuid: string): string {
  return `eks-${cluster.name.slice(0, 10)}-${pod.name.slice(0, 12)}-${uuid}`;
}

/** What the trust policy of a target role may ask for as `sts:ExternalId`. */
export function externalIdOf({ region, account, clusterName, namespace, serviceAccount }: PodIdentityAssociationRecord): string {
  return [region, account, clusterName, namespace, serviceAccount].join("/");
}
