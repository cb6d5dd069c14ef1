import type { V1Pod } from "@kubernetes/client-node";
import type { Workload } from "../../contracts/workload.ts";

const CLUSTER_DOMAIN = "cluster.local";
/** What resolvers read, and the kubelet's own bounds. */
const MAXIMUM_SERVERS = 3;
const MAXIMUM_SEARCHES = 32;
const MAXIMUM_SEARCH_LENGTH = 2048;

export interface DnsParts {
  /** Of the service `kube-dns`. */
  readonly clusterDns: string;
  /** The VPC's. */
  readonly vpc: { readonly servers: readonly string[]; readonly searches: readonly string[] };
}

/** Whom a pod asks for names, by the kubelet's rules: its `dnsPolicy`, to which `dnsConfig` adds. A pod has no host network: its names are the VPC's. Pure. */
export function podDns({ spec, metadata }: V1Pod, { clusterDns, vpc }: DnsParts): NonNullable<Workload["dns"]> {
  const base = {
    ClusterFirst: {
      servers: [clusterDns],
      searches: [`${metadata?.namespace}.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN, ...vpc.searches],
      options: [["ndots", "5"]] as const,
    },
    Default: { ...vpc, options: [] },
    None: { servers: [], searches: [], options: [] },
  };
  const policy = spec?.dnsPolicy === "Default" || spec?.dnsPolicy === "None" ? spec.dnsPolicy : "ClusterFirst";
  const { servers, searches, options } = base[policy];
  const more = spec?.dnsConfig;
  const merged = new Map<string, string | undefined>([...options, ...(more?.options ?? []).map(({ name = "", value }) => [name, value] as const)]);
  return {
    servers: [...new Set([...servers, ...(more?.nameservers ?? [])])].slice(0, MAXIMUM_SERVERS),
    searches: bounded([...new Set([...searches, ...(more?.searches ?? [])])]),
    options: [...merged].map(([name, value]) => (value === undefined || value === "" ? name : `${name}:${value}`)),
  };
}

function bounded(searches: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const search of searches.slice(0, MAXIMUM_SEARCHES)) {
    if ([...kept, search].join(" ").length > MAXIMUM_SEARCH_LENGTH) break;
    kept.push(search);
  }
  return kept;
}
