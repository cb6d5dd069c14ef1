import type { V1Ingress } from "@kubernetes/client-node";
import { expect, it } from "vitest";
import { reconciledEvent } from "./events.ts";

const ingress = (name: string, tls?: object[]): V1Ingress => ({
  kind: "Ingress",
  metadata: { name },
  spec: { ingressClassName: "alb", ...(tls && { tls }) },
});

it("says what of an Ingress is without effect", () => {
  expect(reconciledEvent([ingress("web")]).message).toBe("Successfully reconciled");
  expect(reconciledEvent([ingress("web", [])]).message).toBe("Successfully reconciled");
  expect(reconciledEvent([ingress("web"), ingress("api", [{ hosts: ["a.example.com"] }])]).message).toContain(
    "spec.tls of api is without effect: HTTPS",
  );
  expect(reconciledEvent([{ kind: "Service", metadata: { name: "web" }, spec: { type: "LoadBalancer" } }]).message).toBe("Successfully reconciled");
});
