import { expect, it } from "vitest";
import { addonNamed, SELF_MANAGED, whyNotOffered } from "./catalogue.ts";

it("offers Pod Identity's agent, which is Tidegate itself, and so is nothing in the cluster", () => {
  const agent = addonNamed("eks-pod-identity-agent");
  expect(agent?.objects({ dnsAddress: "", region: "", clusterName: "", configuration: {} })).toEqual([]);
  expect(SELF_MANAGED).not.toContain(agent);
  expect(whyNotOffered("kube-proxy")).toContain("Tidegate offers coredns, metrics-server, eks-pod-identity-agent.");
});
