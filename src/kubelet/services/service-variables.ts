import type { V1Pod, V1Service } from "@kubernetes/client-node";
import { Problem } from "../../core/problem.ts";
import { addressesOf } from "./plan-services.ts";

/** Where the service of the API server is. */
const API_SERVER = { namespace: "default", name: "kubernetes" };

/**
 * The variables that say where services are: of the API server's always, of the others of the pod's namespace unless `enableServiceLinks` is
 * false. As the kubelet, by what is known when the pod starts. Pure.
 * @throws Problem `not-found` until the API server's own service is there.
 */
export function serviceVariables({ metadata, spec }: V1Pod, services: readonly V1Service[]): Readonly<Record<string, string>> {
  const isOf = ({ metadata: own }: V1Service, { namespace, name }: { readonly namespace?: string; readonly name?: string }): boolean =>
    own?.namespace === namespace && (name === undefined || own?.name === name);
  const apiServer = services.find((service) => isOf(service, API_SERVER));
  if (apiServer === undefined || addressesOf(apiServer).length === 0) {
    throw new Problem("not-found", "services have not yet been read at least once, cannot construct envvars");
  }
  const linked = spec?.enableServiceLinks === false ? [] : services.filter((service) => isOf(service, { namespace: metadata?.namespace }));
  const all = [apiServer, ...linked.filter((service) => service !== apiServer && service.metadata?.name !== API_SERVER.name)];
  const inOrder = all.toSorted((a, b) => ((a.metadata?.name ?? "") < (b.metadata?.name ?? "") ? -1 : 1));
  return Object.assign({}, ...inOrder.map(variablesOf)) as Record<string, string>;
}

function variablesOf(service: V1Service): Readonly<Record<string, string>> {
  const [address] = addressesOf(service);
  const [first, ...others] = service.spec?.ports ?? [];
  if (address === undefined || first === undefined) return {};
  const prefix = nameOf(service.metadata?.name ?? "");
  const named = [first, ...others].filter(({ name }) => name);
  const links = [first, ...others].flatMap(({ port, protocol = "TCP" }) => {
    const link = `${prefix}_PORT_${port}_${protocol}`;
    return [
      [link, `${protocol.toLowerCase()}://${address}:${port}`],
      [`${link}_PROTO`, protocol.toLowerCase()],
      [`${link}_PORT`, String(port)],
      [`${link}_ADDR`, address],
    ];
  });
  return Object.fromEntries([
    [`${prefix}_SERVICE_HOST`, address],
    [`${prefix}_SERVICE_PORT`, String(first.port)],
    ...named.map(({ name = "", port }) => [`${prefix}_SERVICE_PORT_${nameOf(name)}`, String(port)]),
    [`${prefix}_PORT`, `${(first.protocol ?? "TCP").toLowerCase()}://${address}:${first.port}`],
    ...links,
  ]) as Record<string, string>;
}

function nameOf(name: string): string {
  return name.toUpperCase().replaceAll("-", "_");
}
