import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { podDns } from "./pod-dns.ts";

const PARTS = { clusterDns: "10.100.0.10", vpc: { servers: ["10.0.0.2"], searches: ["ec2.internal"] } };

describe("whom a pod asks for names", () => {
  it("is the cluster, which the VPC's domain comes after", () => {
    const cluster = {
      servers: ["10.100.0.10"],
      searches: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local", "ec2.internal"],
      options: ["ndots:5"],
    };
    expect(podDns(testPod(), PARTS)).toEqual(cluster);
    expect(podDns(testPod({ dnsPolicy: "ClusterFirst" }), PARTS)).toEqual(cluster);
    expect(podDns(testPod({ dnsPolicy: "ClusterFirstWithHostNet" }), PARTS)).toEqual(cluster);
  });

  it("is the VPC's resolver by Default, and nobody but those it names by None", () => {
    expect(podDns(testPod({ dnsPolicy: "Default" }), PARTS)).toEqual({ servers: ["10.0.0.2"], searches: ["ec2.internal"], options: [] });
    const dnsConfig = { nameservers: ["192.0.2.1"], searches: ["example.org"], options: [{ name: "timeout", value: "2" }, { name: "edns0" }] };
    expect(podDns(testPod({ dnsPolicy: "None", dnsConfig }), PARTS)).toEqual({
      servers: ["192.0.2.1"],
      searches: ["example.org"],
      options: ["timeout:2", "edns0"],
    });
  });

  it("is also whom dnsConfig adds, each once, within the resolver's bounds", () => {
    const dnsConfig = {
      nameservers: ["10.100.0.10", "192.0.2.1", "192.0.2.2", "192.0.2.3"],
      searches: ["cluster.local", ...Array.from({ length: 40 }, (_, index) => `${index}.example.org`)],
      options: [{ name: "ndots", value: "2" }],
    };
    const dns = podDns(testPod({ dnsConfig }), PARTS);
    expect(dns.servers).toEqual(["10.100.0.10", "192.0.2.1", "192.0.2.2"]);
    expect(dns.searches).toHaveLength(32);
    expect(dns.searches.slice(2, 5)).toEqual(["cluster.local", "ec2.internal", "0.example.org"]);
    expect(dns.options).toEqual(["ndots:2"]);
  });
});
