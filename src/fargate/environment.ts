import type { NetworkStatus } from "../contracts/engine.ts";
import type { ContainerSpec, NameValue, Produced, VolumeFile, Workload } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";

/** Where containers find the metadata and credentials endpoints, in every VPC. */
export const METADATA_ADDRESS = "169.254.170.2";

/** Where the host's CA bundle is mounted, and the variables that lead programs there. */
export const HOST_CA_PATH = "/etc/tidegate/host-ca.crt";
const HOST_CA_VARIABLES = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"];

/** What a producer may know. */
export interface ProducerContext {
  readonly workload: Workload;
  readonly network: NetworkStatus;
  /** `<32 hex>-<10 digits>` of the container that asks; the workload's first one for files. */
  readonly runtimeId: string;
  readonly credentialsId?: string;
  /** The VPC endpoint's, e.g. `http://169.254.171.2:4566`. */
  readonly apiUrl?: string;
}

/** `undefined` leaves the variable out. */
type Producer = (context: ProducerContext) => string | undefined;

const metadataUri =
  (path: string): Producer =>
  ({ runtimeId }) =>
    `http://${METADATA_ADDRESS}/${path}/${runtimeId}`;

const PRODUCERS: Readonly<Record<string, Producer>> = {
  "metadata-uri-v4": metadataUri("v4"),
  "metadata-uri": metadataUri("v3"),
  "agent-uri": metadataUri("api"),
  "credentials-relative-uri": ({ credentialsId }) => (credentialsId === undefined ? undefined : `/v2/credentials/${credentialsId}`),
  "endpoint-url": ({ apiUrl }) => apiUrl,
  "pod-ip": ({ network }) => network.privateIpv4,
  "private-ipv4": ({ network }) => network.privateIpv4,
};

/** The producers that a workload names and that there are not. */
export function unknownProducers(workload: Workload): readonly string[] {
  const files = workload.volumes.flatMap((volume) => (volume.type === "files" ? volume.files : []));
  const produced: readonly (Produced | VolumeFile)[] = [...workload.containers.flatMap((container) => container.environment), ...files];
  return [...new Set(produced.flatMap((each) => ("producer" in each && PRODUCERS[each.producer] === undefined ? [each.producer] : [])))];
}

/** The value of a literal or a producer; `undefined` where there is none to give. @throws Problem `unsupported` for an unknown producer. */
export function produce(produced: Produced, context: ProducerContext): string | undefined {
  if (!("producer" in produced)) return produced.value;
  const producer = PRODUCERS[produced.producer];
  if (producer === undefined) throw new Problem("unsupported", `there is no producer named ${produced.producer} for environment variables or files`);
  return producer(context);
}

/** A container's environment: what was asked for, and what the runtime usually gives unless it was. The last of a name wins. */
export function environmentOf(container: ContainerSpec, context: ProducerContext, options: { readonly hostCa: boolean }): readonly NameValue[] {
  const variables = new Map<string, string>();
  variables.set("HOSTNAME", hostnameOf(context.workload, context.network));
  if (options.hostCa) for (const name of HOST_CA_VARIABLES) variables.set(name, HOST_CA_PATH);
  for (const variable of container.environment) {
    const value = produce(variable, context);
    if (value !== undefined) variables.set(variable.name, value);
  }
  return [...variables].map(([name, value]) => ({ name, value }));
}

/** A workload's host name: its own, else the private DNS name of its address, as on Fargate. */
export function hostnameOf(workload: Workload, network: NetworkStatus): string {
  return workload.hostname ?? network.privateDnsName;
}

/** `/etc/hosts`, with tabs between the words, as the kubelet writes it and Kubernetes' conformance tests look for it. */
export function hostsFile(workload: Workload, network: NetworkStatus): string {
  const lines = [
    ["127.0.0.1", "localhost"],
    ["::1", "localhost", "ip6-localhost", "ip6-loopback"],
    [network.privateIpv4, ...(workload.fullHostname === undefined ? [] : [workload.fullHostname]), hostnameOf(workload, network)],
    ...workload.hosts.map((host) => [host.ip, ...host.names]),
  ];
  return lines.map((words) => `${words.join("\t")}\n`).join("");
}

/** `/etc/resolv.conf`. */
export function resolvConf(dns: {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options?: readonly string[];
}): string {
  const lines = dns.servers.map((server) => `nameserver ${server}`);
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(" ")}`);
  if (dns.options !== undefined && dns.options.length > 0) lines.push(`options ${dns.options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}
