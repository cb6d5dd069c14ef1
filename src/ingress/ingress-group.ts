import type { V1Ingress, V1IngressClass } from "@kubernetes/client-node";
import { Annotations } from "./annotations.ts";
import type { StackName } from "./names.ts";

export const INGRESS_PREFIX = "alb.ingress.kubernetes.io/";
export const CONTROLLER = "ingress.k8s.aws/alb";
export const DEFAULT_CLASS = "alb";
const LEGACY_CLASS = "kubernetes.io/ingress.class";

/** Which Ingresses are ours, and which of them share a load balancer. Pure. */

export function isOurs({ metadata, spec }: V1Ingress, classes: readonly V1IngressClass[]): boolean {
  if (metadata?.deletionTimestamp !== undefined) return false;
  const legacy = metadata?.annotations?.[LEGACY_CLASS];
  if (legacy !== undefined) return legacy === DEFAULT_CLASS;
  return classes.some((each) => each.metadata?.name === spec?.ingressClassName && each.spec?.controller === CONTROLLER);
}

/** The group that its annotation names, or one of its own; a name that is none would be the one of another Ingress' own, or of nobody's. */
export function ingressStack({ metadata }: V1Ingress): StackName {
  const group = new Annotations(metadata?.annotations, INGRESS_PREFIX).text("group.name");
  return { kind: "ingress", id: group !== undefined && isGroupName(group) ? group : `${metadata?.namespace}/${metadata?.name}` };
}

/** As the AWS Load Balancer Controller has it. */
export function isGroupName(text: string): boolean {
  return /^[a-z0-9](?:[-.a-z0-9]{0,61}[a-z0-9])?$/.test(text);
}

/** Its members in the order in which their rules are tried: by `group.order`, then by namespace and name. */
export function membersOf(id: string, ingresses: readonly V1Ingress[], classes: readonly V1IngressClass[]): readonly V1Ingress[] {
  return ingresses
    .filter((ingress) => isOurs(ingress, classes) && ingressStack(ingress).id === id)
    .sort((a, b) => orderOf(a) - orderOf(b) || (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Only what it was given, so that two groups of an Ingress that changes them do not meet. */
export function finalizerOf(id: string): string {
  return id.includes("/") ? "ingress.k8s.aws/resources" : `group.ingress.k8s.aws/${id}`;
}

export function isOurFinalizer(finalizer: string): boolean {
  return finalizer === "ingress.k8s.aws/resources" || finalizer.startsWith("group.ingress.k8s.aws/");
}

export function nameOf({ metadata }: V1Ingress): string {
  return `${metadata?.namespace}/${metadata?.name}`;
}

function orderOf({ metadata }: V1Ingress): number {
  const text = metadata?.annotations?.[`${INGRESS_PREFIX}group.order`] ?? "0";
  return /^-?\d+$/.test(text) ? Number(text) : 0;
}
