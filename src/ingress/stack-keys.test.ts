import type { V1Ingress, V1Service } from "@kubernetes/client-node";
import { expect, it } from "vitest";
import type { ObjectWatch } from "../kubernetes-client/watch-objects.ts";
import { gateOf } from "./model.ts";
import { stacksOf } from "./stack-keys.ts";

function watched<T>(...objects: readonly T[]): ObjectWatch<T> {
  return { get: () => undefined, list: () => objects, [Symbol.dispose]: () => {} };
}

const named = (name: string, more: object = {}) => ({ metadata: { name, namespace: "default", ...more } });
const service = (type: string): V1Service => ({ ...named("web"), spec: { type } });
const ingress = (finalizers: string[] = [], group?: string): V1Ingress => ({
  ...named("front", { finalizers, ...(group !== undefined && { annotations: { "alb.ingress.kubernetes.io/group.name": group } }) }),
});

const OBJECTS = { services: watched(service("LoadBalancer")), ingresses: watched(ingress()) };
const ids = (kind: Parameters<typeof stacksOf>[0]["kind"], object: object): readonly string[] =>
  stacksOf({ clusterKey: "c", kind, object }, OBJECTS, (name) => (name === "k8s-x" ? { kind: "service", id: "default/web" } : undefined)).map(
    (stack) => `${stack.kind} ${stack.id}`,
  );

it("a Service and its endpoints concern its own load balancer, and the Ingresses of its namespace", () => {
  expect(ids("service", service("LoadBalancer"))).toEqual(["service default/web", "ingress default/front"]);
  expect(ids("service", service("ClusterIP"))).toEqual(["ingress default/front"]);
  const slice = named("web-abc", { labels: { "kubernetes.io/service-name": "web" } });
  expect(ids("endpoint-slice", slice)).toEqual(["service default/web", "ingress default/front"]);
});

it("a Service that had a load balancer concerns it still", () => {
  const before = { ...named("web", { finalizers: ["service.k8s.aws/resources"] }), spec: { type: "ClusterIP" } };
  expect(ids("service", before)).toEqual(["service default/web", "ingress default/front"]);
});

it("an Ingress concerns its group, and those that it was in", () => {
  expect(ids("ingress", ingress(["group.ingress.k8s.aws/old", "other/finalizer"], "new"))).toEqual(["ingress new", "ingress old"]);
  expect(ids("ingress", ingress(["ingress.k8s.aws/resources"], "new"))).toEqual(["ingress new", "ingress default/front"]);
});

it("a pod concerns those whose gates it has", () => {
  const pod = (...gates: readonly string[]) => ({ spec: { readinessGates: gates.map((conditionType) => ({ conditionType })) } });
  expect(ids("pod", pod(gateOf("k8s-x"), gateOf("k8s-y"), "example.com/other"))).toEqual(["service default/web"]);
  expect(ids("pod", pod())).toEqual([]);
});

it("an Ingress that names another one's own load balancer as its group stays with its own", () => {
  for (const group of ["default/other", "a|b", "UPPER", "-a"]) expect(ids("ingress", ingress([], group)), group).toEqual(["ingress default/front"]);
});
