import { COREDNS } from "./coredns.ts";
import type { AddonDefinition } from "./definition.ts";
import { METRICS_SERVER } from "./metrics-server.ts";
import { POD_IDENTITY_AGENT } from "./pod-identity-agent.ts";

/** The add-ons that clusters may have. Those of EKS that are DaemonSets of a node (`vpc-cni`, `kube-proxy`) have no node here to run on. */
export const ADDONS: readonly AddonDefinition[] = [COREDNS, METRICS_SERVER, POD_IDENTITY_AGENT];

/** What of EKS's own add-ons Tidegate does itself, without a pod; each with what to tell who asks for it. */
const BUILT_IN: Readonly<Record<string, string>> = {
  "vpc-cni": "pods on Fargate get their interfaces without it",
  "kube-proxy": "pods on Fargate get services' addresses without it",
};

export function addonNamed(name: string): AddonDefinition | undefined {
  return ADDONS.find((addon) => addon.name === name);
}

/** Why there is no add-on of this name. */
export function whyNotOffered(name: string): string {
  const why = BUILT_IN[name];
  const offered = ADDONS.map((addon) => addon.name).join(", ");
  return `Addon specified is not supported${why === undefined ? "" : `: ${why}`}. Tidegate offers ${offered}.`;
}

/** What CreateCluster installs by itself, unless `bootstrapSelfManagedAddons` is false. */
export const SELF_MANAGED: readonly AddonDefinition[] = [COREDNS];
