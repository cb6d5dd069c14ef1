import type { V1EndpointSlice, V1Ingress, V1Pod, V1Service } from "@kubernetes/client-node";
import type { ClusterObjects } from "./cluster-objects.ts";
import type { ObjectChange } from "./connections.ts";
import { ingressStack, isOurFinalizer } from "./ingress-group.ts";
import { gateOf } from "./model.ts";
import type { StackName } from "./names.ts";
import { SERVICE_FINALIZER, serviceStack } from "./plan-service.ts";

const SERVICE_LABEL = "kubernetes.io/service-name";
const GATE_PREFIX = gateOf("");

/** Which stacks a change of an object may concern; those of pods only where a gate names its group. `objects`: what is known by now. */
export function stacksOf(
  { kind, object }: ObjectChange,
  objects: Pick<ClusterObjects, "services" | "ingresses"> | undefined,
  ofGroup: (groupName: string) => StackName | undefined,
): readonly StackName[] {
  const ingressesOf = (namespace: string | undefined): readonly StackName[] =>
    (objects?.ingresses.list() ?? []).filter(({ metadata }) => metadata?.namespace === namespace).flatMap(ofIngress);
  switch (kind) {
    case "service": {
      const service = object as V1Service;
      return [...(isBalanced(service) ? [serviceStack(service)] : []), ...ingressesOf(service.metadata?.namespace)];
    }
    case "endpoint-slice": {
      const { metadata } = object as V1EndpointSlice;
      const name = metadata?.labels?.[SERVICE_LABEL];
      const service = objects?.services.list().find((each) => each.metadata?.name === name && each.metadata?.namespace === metadata?.namespace);
      return [...(service !== undefined && isBalanced(service) ? [serviceStack(service)] : []), ...ingressesOf(metadata?.namespace)];
    }
    case "ingress":
      return ofIngress(object);
    case "ingress-class":
      return (objects?.ingresses.list() ?? []).flatMap(ofIngress);
    case "pod":
      break;
  }
  const gates = (object as V1Pod).spec?.readinessGates ?? [];
  return gates.flatMap(({ conditionType }) => {
    const stack = conditionType.startsWith(GATE_PREFIX) ? ofGroup(conditionType.slice(GATE_PREFIX.length)) : undefined;
    return stack === undefined ? [] : [stack];
  });
}

function isBalanced({ spec, metadata }: V1Service): boolean {
  return spec?.type === "LoadBalancer" || (metadata?.finalizers?.includes(SERVICE_FINALIZER) ?? false);
}

/** The group that it is in, and those that its finalizers name: it was in them. */
function ofIngress(ingress: V1Ingress): readonly StackName[] {
  const { name, namespace, finalizers = [] } = ingress.metadata ?? {};
  const own = `${namespace}/${name}`;
  const before = finalizers.filter(isOurFinalizer).map((finalizer) => finalizer.split("/").slice(1).join("/"));
  const ids = new Set([ingressStack(ingress).id, ...before.map((id) => (id === "resources" ? own : id))]);
  return [...ids].map((id) => ({ kind: "ingress", id }));
}
