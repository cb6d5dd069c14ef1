import type { V1Service, V1ServiceSpec } from "@kubernetes/client-node";
import { expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { serviceVariables } from "./service-variables.ts";

const service = (namespace: string, name: string, spec: Partial<V1ServiceSpec>): V1Service => ({ metadata: { namespace, name }, spec });
const API_SERVER = service("default", "kubernetes", { clusterIP: "10.100.0.1", ports: [{ name: "https", port: 443, protocol: "TCP" }] });
const WEB = service("default", "my-web", {
  clusterIP: "10.100.0.7",
  ports: [
    { name: "http", port: 80 },
    { name: "dns-udp", port: 53, protocol: "UDP" },
  ],
});

it("tells of the API server and the namespace's services, as the kubelet does", () => {
  expect(serviceVariables(testPod(), [WEB, API_SERVER])).toEqual({
    KUBERNETES_SERVICE_HOST: "10.100.0.1",
    KUBERNETES_SERVICE_PORT: "443",
    KUBERNETES_SERVICE_PORT_HTTPS: "443",
    KUBERNETES_PORT: "tcp://10.100.0.1:443",
    KUBERNETES_PORT_443_TCP: "tcp://10.100.0.1:443",
    KUBERNETES_PORT_443_TCP_PROTO: "tcp",
    KUBERNETES_PORT_443_TCP_PORT: "443",
    KUBERNETES_PORT_443_TCP_ADDR: "10.100.0.1",
    MY_WEB_SERVICE_HOST: "10.100.0.7",
    MY_WEB_SERVICE_PORT: "80",
    MY_WEB_SERVICE_PORT_HTTP: "80",
    MY_WEB_SERVICE_PORT_DNS_UDP: "53",
    MY_WEB_PORT: "tcp://10.100.0.7:80",
    MY_WEB_PORT_80_TCP: "tcp://10.100.0.7:80",
    MY_WEB_PORT_80_TCP_PROTO: "tcp",
    MY_WEB_PORT_80_TCP_PORT: "80",
    MY_WEB_PORT_80_TCP_ADDR: "10.100.0.7",
    MY_WEB_PORT_53_UDP: "udp://10.100.0.7:53",
    MY_WEB_PORT_53_UDP_PROTO: "udp",
    MY_WEB_PORT_53_UDP_PORT: "53",
    MY_WEB_PORT_53_UDP_ADDR: "10.100.0.7",
  });
});

it("tells of the API server alone where service links are off, and never of other namespaces' or headless services", () => {
  const others = [
    service("other", "api", { clusterIP: "10.100.0.8", ports: [{ port: 80 }] }),
    service("default", "db", { clusterIP: "None", ports: [{ port: 1 }] }),
  ];
  const names = (enableServiceLinks: boolean): readonly string[] =>
    Object.keys(serviceVariables(testPod({ enableServiceLinks }), [WEB, API_SERVER, ...others])).filter((name) => name.endsWith("_SERVICE_HOST"));
  expect(names(true)).toEqual(["KUBERNETES_SERVICE_HOST", "MY_WEB_SERVICE_HOST"]);
  expect(names(false)).toEqual(["KUBERNETES_SERVICE_HOST"]);
});

it("waits for the API server's own service", () => {
  expect(() => serviceVariables(testPod(), [WEB])).toThrow("services have not yet been read");
});
