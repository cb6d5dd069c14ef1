import type { V1Endpoint, V1EndpointSlice, V1Service, V1ServicePort } from "@kubernetes/client-node";
import type { VirtualAddresses, VirtualPort } from "../../contracts/network.ts";

const SERVICE_NAME = "kubernetes.io/service-name";
const PROTOCOLS: Readonly<Record<string, VirtualPort["protocol"]>> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };
/** What the API server fills in. */
const AFFINITY_SECONDS = 10_800;

export interface ServiceObjects {
  readonly services: readonly V1Service[];
  readonly slices: readonly V1EndpointSlice[];
  /** The block of service addresses. */
  readonly cidr: string;
}

/**
 * Where each port of each service leads, by kube-proxy's rules: to the ready endpoints; without any, to those that serve still while they
 * end; without those, nowhere. Services without an address of their own (headless, `ExternalName`) are names alone.
 *
 * Ports of nodes and addresses of load balancers are not among them: no one but a pod is behind a pod's node, and load balancers are real. Zones
 * and `trafficDistribution` change nothing: every endpoint is on this host. Pure.
 */
export function planServices({ services, slices, cidr }: ServiceObjects): VirtualAddresses {
  const byService = Map.groupBy(slices, ({ metadata }) => `${metadata?.namespace}/${metadata?.labels?.[SERVICE_NAME]}`);
  const ports = services.flatMap((service) => {
    const own = byService.get(`${service.metadata?.namespace}/${service.metadata?.name}`) ?? [];
    return portsOf(service, own);
  });
  return { cidr, ports: ports.toSorted((a, b) => (textOf(a) < textOf(b) ? -1 : 1)) };
}

/** The addresses that are virtual, IPv4 alone: VPCs have no IPv6. */
export function addressesOf({ spec }: V1Service): readonly string[] {
  if (spec === undefined || spec.type === "ExternalName") return [];
  const all = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return all.filter((address) => /^\d+(\.\d+){3}$/.test(address));
}

function portsOf(service: V1Service, slices: readonly V1EndpointSlice[]): readonly VirtualPort[] {
  const { spec } = service;
  const own = addressesOf(service);
  if (own.length === 0) return [];
  const external = (spec?.externalIPs ?? []).filter((address) => address.includes("."));
  return (spec?.ports ?? []).flatMap((port) => {
    const protocol = PROTOCOLS[port.protocol ?? "TCP"];
    if (protocol === undefined) return [];
    const backends = backendsOf(port, slices);
    const affinity = spec?.sessionAffinity === "ClientIP" && {
      affinitySeconds: spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS,
    };
    const made = { protocol, port: port.port, backends, ...affinity };
    return [
      ...own.map((address) => ({ ...made, address, ...(spec?.internalTrafficPolicy === "Local" && { onlyItself: true }) })),
      ...external.map((address) => ({ ...made, address })),
    ];
  });
}

/** The port's number may be another in each slice: a named target port is looked up in each pod. */
function backendsOf({ name = "", protocol = "TCP" }: V1ServicePort, slices: readonly V1EndpointSlice[]): VirtualPort["backends"] {
  const all = slices
    .filter(({ addressType }) => addressType === "IPv4")
    .flatMap((slice) => {
      const port = slice.ports?.find((each) => (each.name ?? "") === name && (each.protocol ?? "TCP") === protocol)?.port;
      return port === undefined ? [] : (slice.endpoints ?? []).map((endpoint) => ({ endpoint, port }));
    });
  const ready = all.filter(({ endpoint }) => isReady(endpoint));
  const used = ready.length > 0 ? ready : all.filter(({ endpoint }) => isServingItsEnd(endpoint));
  const found = used.flatMap(({ endpoint, port }) => endpoint.addresses.slice(0, 1).map((address) => ({ address, port })));
  return [...new Map(found.map((backend) => [`${backend.address}:${backend.port}`, backend])).values()].toSorted((a, b) =>
    a.address < b.address ? -1 : 1,
  );
}

/** What is not said is true. */
function isReady({ conditions }: V1Endpoint): boolean {
  return conditions?.ready ?? true;
}

function isServingItsEnd({ conditions }: V1Endpoint): boolean {
  return conditions?.terminating === true && (conditions.serving ?? conditions.ready ?? true);
}

function textOf({ address, protocol, port }: VirtualPort): string {
  return `${address}/${protocol}/${port}`;
}
