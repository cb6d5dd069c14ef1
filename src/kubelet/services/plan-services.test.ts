import type { V1Endpoint, V1EndpointSlice, V1Service, V1ServiceSpec } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import type { VirtualPort } from "../../contracts/network.ts";
import { planServices } from "./plan-services.ts";

const service = (spec: Partial<V1ServiceSpec> = {}, name = "web"): V1Service => ({
  metadata: { namespace: "default", name },
  spec: { type: "ClusterIP", clusterIP: "10.100.1.1", clusterIPs: ["10.100.1.1"], ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }], ...spec },
});
const slice = (endpoints: readonly V1Endpoint[], more: Partial<V1EndpointSlice> = {}): V1EndpointSlice => ({
  metadata: { namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  ports: [{ name: "", port: 8080, protocol: "TCP" }],
  endpoints: [...endpoints],
  ...more,
});
const at = (address: string, conditions?: V1Endpoint["conditions"]): V1Endpoint => ({ addresses: [address], conditions });
const plan = (services: readonly V1Service[], slices: readonly V1EndpointSlice[] = []): readonly VirtualPort[] =>
  planServices({ services, slices, cidr: "10.100.0.0/16" }).ports;
const leads = (services: readonly V1Service[], slices: readonly V1EndpointSlice[] = []): readonly string[] =>
  plan(services, slices).map(
    ({ address, protocol, port, backends }) => `${address}/${protocol}/${port} > ${backends.map((each) => `${each.address}:${each.port}`).join(" ")}`,
  );

describe("where a service's port leads", () => {
  it("is to the ready endpoints of its slices", () => {
    const slices = [slice([at("10.0.0.5"), at("10.0.0.4", { ready: true }), at("10.0.0.6", { ready: false })]), slice([at("10.0.0.7")])];
    expect(leads([service()], slices)).toEqual(["10.100.1.1/tcp/80 > 10.0.0.4:8080 10.0.0.5:8080 10.0.0.7:8080"]);
  });

  it("is to one endpoint once, however many slices have it", () => {
    expect(leads([service()], [slice([at("10.0.0.5")]), slice([at("10.0.0.5")])])).toEqual(["10.100.1.1/tcp/80 > 10.0.0.5:8080"]);
  });

  it("is to those that serve while they end, when there is no ready one", () => {
    const ending = at("10.0.0.5", { ready: false, serving: true, terminating: true });
    const gone = at("10.0.0.6", { ready: false, serving: false, terminating: true });
    const failing = at("10.0.0.7", { ready: false, serving: false, terminating: false });
    expect(leads([service()], [slice([ending, gone, failing])])).toEqual(["10.100.1.1/tcp/80 > 10.0.0.5:8080"]);
    expect(leads([service()], [slice([ending, at("10.0.0.8")])])).toEqual(["10.100.1.1/tcp/80 > 10.0.0.8:8080"]);
    expect(leads([service()], [slice([gone])])).toEqual(["10.100.1.1/tcp/80 > "]);
  });

  it("is nowhere without endpoints, and the port is there to be refused", () => {
    expect(leads([service()])).toEqual(["10.100.1.1/tcp/80 > "]);
  });

  it("is by the port's name and protocol, and by each slice's own number of it", () => {
    const ports = [
      { name: "dns", port: 53, protocol: "UDP" },
      { name: "dns-tcp", port: 53, protocol: "TCP" },
      { name: "assoc", port: 9, protocol: "SCTP" },
    ];
    const numbers = (dns: number): V1EndpointSlice["ports"] => [
      { name: "dns", port: dns, protocol: "UDP" },
      { name: "dns-tcp", port: dns + 1, protocol: "TCP" },
    ];
    const slices = [slice([at("10.0.0.5")], { ports: numbers(1053) }), slice([at("10.0.0.6")], { ports: numbers(2053) })];
    expect(leads([service({ ports })], slices)).toEqual([
      "10.100.1.1/sctp/9 > ",
      "10.100.1.1/tcp/53 > 10.0.0.5:1054 10.0.0.6:2054",
      "10.100.1.1/udp/53 > 10.0.0.5:1053 10.0.0.6:2053",
    ]);
  });

  it("is not to another service's endpoints, nor to another namespace's, nor to IPv6", () => {
    const of = (namespace: string, name: string): V1EndpointSlice["metadata"] => ({ namespace, labels: { "kubernetes.io/service-name": name } });
    const slices = [
      slice([at("10.0.0.5")], { metadata: of("other", "web") }),
      slice([at("10.0.0.6")], { metadata: of("default", "api") }),
      slice([at("fd00::1")], { addressType: "IPv6" }),
    ];
    expect(leads([service()], slices)).toEqual(["10.100.1.1/tcp/80 > "]);
  });
});

it("has nothing for services without an address of their own", () => {
  expect(
    plan([service({ clusterIP: "None", clusterIPs: ["None"] }), service({ type: "ExternalName", clusterIP: undefined, clusterIPs: undefined })]),
  ).toEqual([]);
});

it("serves the cluster address of node ports and load balancers, and external addresses", () => {
  const spec = { type: "LoadBalancer", externalIPs: ["192.0.2.7"], ports: [{ port: 80, protocol: "TCP", nodePort: 30_080 }] };
  expect(leads([service(spec)], [slice([at("10.0.0.5")])])).toEqual(["10.100.1.1/tcp/80 > 10.0.0.5:8080", "192.0.2.7/tcp/80 > 10.0.0.5:8080"]);
});

it("keeps a client at its backend for the time that is said, three hours otherwise", () => {
  expect(plan([service({ sessionAffinity: "ClientIP" })])[0]?.affinitySeconds).toBe(10_800);
  expect(plan([service({ sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } })])[0]?.affinitySeconds).toBe(60);
  expect(plan([service({ sessionAffinity: "None" })])[0]).not.toHaveProperty("affinitySeconds");
});

it("keeps traffic on its node where internalTrafficPolicy says so: a pod has its node to itself", () => {
  expect(plan([service({ internalTrafficPolicy: "Local" })])[0]?.onlyItself).toBe(true);
  expect(plan([service({ internalTrafficPolicy: "Cluster" })])[0]).not.toHaveProperty("onlyItself");
});
