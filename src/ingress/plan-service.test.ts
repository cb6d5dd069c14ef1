import type { V1Service } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { planService, wantsBalancer } from "./plan-service.ts";

const CLUSTER = { name: "shop", uid: "0123" };
const PREFIX = "service.beta.kubernetes.io/aws-load-balancer-";

function service(annotations: Readonly<Record<string, string>> = {}, spec: Partial<NonNullable<V1Service["spec"]>> = {}): V1Service {
  const own = Object.entries(annotations).map(([name, value]) => [`${PREFIX}${name}`, value]);
  return {
    metadata: { name: "web-shop", namespace: "default", uid: "u-1", annotations: Object.fromEntries(own) as Record<string, string> },
    spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "web" }], ...spec },
  };
}

describe("which Services get a load balancer", () => {
  it.each([
    [{}, true],
    [{ loadBalancerClass: "service.k8s.aws/nlb" }, true],
    [{ loadBalancerClass: "example.com/other" }, false],
    [{ type: "ClusterIP" }, false],
  ])("%j: %s", (spec, wanted) => {
    expect(wantsBalancer(service({}, spec))).toBe(wanted);
  });

  it("none that is being deleted", () => {
    expect(wantsBalancer({ metadata: { deletionTimestamp: new Date() }, spec: service().spec })).toBe(false);
  });
});

describe("the model of a Service", () => {
  it("is a network load balancer with a listener and a group of pods for each port", () => {
    const model = planService(
      CLUSTER,
      service(
        {},
        {
          ports: [
            { name: "http", port: 80, targetPort: "web" },
            { name: "admin", port: 81, targetPort: 9000 },
          ],
        },
      ),
    );
    expect(model.balancer).toMatchObject({
      name: expect.stringMatching(/^k8s-default-webshop-[0-9a-f]{10}$/) as unknown,
      type: "network",
      scheme: "internal",
      access: { kind: "managed", cidrs: ["0.0.0.0/0"] },
      tags: { "elbv2.k8s.aws/cluster": "shop", "service.k8s.aws/stack": "default/web-shop", "service.k8s.aws/resource": "LoadBalancer" },
    });
    expect(model.groups.map(({ id, port, protocol, source }) => [id, port, protocol, source.portName])).toEqual([
      ["default/web-shop:80", 80, "TCP", "http"],
      ["default/web-shop:81", 9000, "TCP", "admin"],
    ]);
    expect(model.groups[0]?.healthCheck).toMatchObject({ protocol: "TCP", intervalSeconds: 10, healthyThreshold: 3, unhealthyThreshold: 3 });
    expect(model.listeners.map(({ port, protocol, action }) => [port, protocol, action])).toEqual([
      [80, "TCP", { type: "forward", targets: [{ groupId: "default/web-shop:80", weight: 1 }] }],
      [81, "TCP", { type: "forward", targets: [{ groupId: "default/web-shop:81", weight: 1 }] }],
    ]);
    expect(new Set(model.groups.map(({ name }) => name)).size).toBe(2);
  });

  it("has the same names each time, and others for another Service of the name, another scheme, another target port", () => {
    const [first, again] = [planService(CLUSTER, service()), planService(CLUSTER, service())];
    expect(again).toEqual(first);
    const later = { metadata: { name: "web-shop", namespace: "default", uid: "u-2" }, spec: service().spec };
    expect(planService(CLUSTER, later).balancer.name).not.toBe(first.balancer.name);
    expect(planService(CLUSTER, service({ scheme: "internet-facing" })).balancer.name).not.toBe(first.balancer.name);
    const moved = planService(CLUSTER, service({}, { ports: [{ name: "http", port: 80, targetPort: "other" }] }));
    expect([moved.balancer.name === first.balancer.name, moved.groups[0]?.name === first.groups[0]?.name]).toEqual([true, false]);
  });

  it("follows its annotations", () => {
    const model = planService(
      CLUSTER,
      service({
        type: "external",
        "nlb-target-type": "ip",
        name: "mine",
        scheme: "internet-facing",
        subnets: "subnet-a, subnet-b",
        "security-groups": "sg-1",
        "manage-backend-security-group-rules": "true",
        "proxy-protocol": "*",
        "target-group-attributes": "deregistration_delay.timeout_seconds=5",
        attributes: "deletion_protection.enabled=true",
        "healthcheck-protocol": "http",
        "healthcheck-path": "/up",
        "healthcheck-port": "9000",
        "healthcheck-interval": "5",
        "healthcheck-timeout": "2",
        "additional-resource-tags": "team=core",
      }),
    );
    expect(model.balancer).toMatchObject({
      name: "mine",
      scheme: "internet-facing",
      subnetIds: ["subnet-a", "subnet-b"],
      access: { kind: "given", groupIds: ["sg-1"], reachesPods: true },
      attributes: { "deletion_protection.enabled": "true" },
      tags: { team: "core" },
    });
    expect(model.groups[0]).toMatchObject({
      attributes: { "proxy_protocol_v2.enabled": "true", "deregistration_delay.timeout_seconds": "5" },
      healthCheck: { protocol: "HTTP", path: "/up", port: "9000", intervalSeconds: 5, timeoutSeconds: 2, matcher: "200-399" },
    });
    expect(planService(CLUSTER, service({}, { loadBalancerSourceRanges: ["10.0.0.0/8"] })).balancer.access).toEqual({
      kind: "managed",
      cidrs: ["10.0.0.0/8"],
    });
  });

  it.each<[string, V1Service, string]>([
    ["instance targets", service({ "nlb-target-type": "instance" }), "instance targets cannot reach pods on Fargate; use ip"],
    ["UDP", service({}, { ports: [{ port: 53, protocol: "UDP" }] }), "port 53 is of protocol UDP"],
    ["TLS", service({ "ssl-cert": "arn:x" }), `annotation ${PREFIX}ssl-cert: not built yet; remove it`],
    ["names of subnets", service({ subnets: "public" }), "public is no id (subnet-…)"],
    ["a number that is none", service({ "healthcheck-interval": "5s" }), "healthcheck-interval: 5s is no number"],
    ["pairs that are none", service({ attributes: "x" }), "attributes: x is not of the form key=value"],
  ])("refuses %s with words", (_what, wrong, words) => {
    expect(() => planService(CLUSTER, wrong)).toThrow(words);
  });
});
