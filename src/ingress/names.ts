import { createHash } from "node:crypto";

/** Names and tags as the AWS Load Balancer Controller gives them. */

export const TAG_PREFIX = { service: "service.k8s.aws", ingress: "ingress.k8s.aws" } as const;
export const CLUSTER_TAG = "elbv2.k8s.aws/cluster";
/** Tells a cluster from a later one of its name. */
const CLUSTER_UID_TAG = "tidegate.dev/cluster-uid";

/** `k8s-<8 of the namespace>-<8 of the name>-<10 hex>`; what `parts` has in it changes the name. */
export function resourceName({ namespace, name }: { readonly namespace: string; readonly name: string }, parts: readonly string[]): string {
  return `k8s-${plain(namespace, 8)}-${plain(name, 8)}-${digest(parts)}`;
}

/** Of a load balancer that several Ingresses share. */
export function groupName(group: string, parts: readonly string[]): string {
  return `k8s-${plain(group, 17)}-${digest(parts)}`;
}

function plain(text: string, length: number): string {
  return text.replaceAll(/[^A-Za-z0-9]/g, "").slice(0, length);
}

function digest(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 10);
}

export interface StackName {
  readonly kind: "service" | "ingress";
  /** `<namespace>/<name>`, or the name of a group of Ingresses. */
  readonly id: string;
}

/** What tells a resource's cluster, and for which Service or Ingresses it is. */
export function stackTags(cluster: { readonly name: string; readonly uid: string }, { kind, id }: StackName): Readonly<Record<string, string>> {
  return { [CLUSTER_TAG]: cluster.name, [CLUSTER_UID_TAG]: cluster.uid, [`${TAG_PREFIX[kind]}/stack`]: id };
}

export function resourceTag({ kind }: StackName): string {
  return `${TAG_PREFIX[kind]}/resource`;
}
