import { describe, expect, it } from "vitest";
import type { ClusterObject } from "../ports.ts";
import { COREDNS } from "./coredns.ts";
import { keepFields } from "./keep-fields.ts";
import { faultsOf } from "./schema.ts";

const objects = (configuration: Readonly<Record<string, unknown>> = {}): ReadonlyMap<string, ClusterObject> =>
  new Map(
    COREDNS.objects({ dnsAddress: "10.100.0.10", region: "us-east-1", clusterName: "shop", configuration }).map((object) => [object.kind, object]),
  );
const faults = (value: unknown): readonly string[] => faultsOf(COREDNS.schema, value);

describe("CoreDNS's objects", () => {
  it("are two replicas behind kube-dns at the tenth address, and what they need", () => {
    expect([...objects().keys()]).toEqual([
      "ServiceAccount",
      "ClusterRole",
      "ClusterRoleBinding",
      "ConfigMap",
      "Service",
      "Deployment",
      "PodDisruptionBudget",
    ]);
    expect(objects().get("Service")).toMatchObject({ metadata: { name: "kube-dns" }, spec: { clusterIP: "10.100.0.10" } });
    expect(objects().get("Deployment")).toMatchObject({
      metadata: { name: "coredns" },
      spec: { replicas: 2, template: { spec: { dnsPolicy: "Default" } } },
    });
  });

  it("are as the user sets them", () => {
    const made = objects({ replicaCount: 3, corefile: ".:53 {}", resources: { limits: { memory: "1Gi" } }, podDisruptionBudget: { enabled: false } });
    expect(made.get("Deployment")).toMatchObject({
      spec: { replicas: 3, template: { spec: { containers: [{ resources: { limits: { memory: "1Gi" } } }] } } },
    });
    expect(made.get("ConfigMap")).toMatchObject({ data: { Corefile: ".:53 {}" } });
    expect(made.has("PodDisruptionBudget")).toBe(false);
  });
});

describe("the schema of configurationValues", () => {
  it("lets in what it names, of its type", () => {
    expect(
      faults({ replicaCount: 1, corefile: "", resources: { requests: { cpu: "1" } }, tolerations: [{ key: "a" }], computeType: "Fargate" }),
    ).toEqual([]);
    expect(faults({ replicaCount: "1" })).toEqual(["$.replicaCount: string found, integer expected"]);
    expect(faults({ replicaCount: -1 })).toEqual(["$.replicaCount: must have a minimum value of 0"]);
    expect(faults({ resources: { limits: { cpu: 1 } } })).toEqual(["$.resources.limits.cpu: integer found, string expected"]);
    expect(faults({ replicas: 1 })).toEqual(["$.replicas: is not defined in the schema and the schema does not allow additional properties"]);
    expect(faults("replicaCount")).toEqual(["$: string found, object expected"]);
  });
});

it("keeps what the user has set, in members and in lists by their keys", () => {
  const named = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "coredns" } };
  const containers = (image: string, memory: string) => [
    { name: "coredns", image, resources: { limits: { memory } } },
    { name: "other", image: "x" },
  ];
  const wanted = { ...named, spec: { replicas: 2, paused: false, template: { spec: { containers: containers("new", "1") } } } };
  const live = { ...named, spec: { replicas: 3, template: { spec: { containers: containers("old", "2").toReversed() } } } };
  const fields = [".spec.replicas", ".spec.paused", `.spec.template.spec.containers[name="coredns"].resources.limits.memory`, ".spec.nothing.there"];
  expect(keepFields(wanted, live, fields)).toEqual({ ...named, spec: { replicas: 3, template: { spec: { containers: containers("new", "2") } } } });
});
