/** What the network does to the machine, apart from its records. Two implementations: Linux, and none at all for `--engine simulated`. */
import type { PublishOutcome, PublishedPort } from "../contracts/network.ts";
import type { EniRecord } from "./records.ts";
import type { VpcFacts } from "./vpc-facts.ts";

export interface Kernel {
  /** Once, before any other call: sweeps what no VPC of `vpcs` owns, and brings the host's side up to date. */
  start(vpcs: readonly VpcFacts[]): Promise<void>;
  /** Makes or adopts the VPC's namespace, links, addresses and rules. Idempotent. */
  buildVpc(vpcId: string): Promise<void>;
  /** Removes the VPC's namespace and all in it. Idempotent. */
  removeVpc(vpcId: string): Promise<void>;
  /** Brings the rules of a group, new, changed or deleted, up to date. */
  syncGroup(vpcId: string, groupId: string): Promise<void>;
  /** Brings routers' addresses and who may leave the VPC up to date, after a change of subnets or routes. */
  syncRoutes(vpcId: string): Promise<void>;
  /** Puts the interface into its groups' sets, then into the namespace, then up. Idempotent. */
  plug(eni: EniRecord): Promise<void>;
  /** Lets the VPCs' packets through the host's firewall again, after somebody has changed that. Idempotent. */
  mendHost(): Promise<void>;
  /** Takes it out of the sets and out of the namespace; where its address is kept, the port of a node's kubelet stays. Idempotent. */
  unplug(eni: EniRecord, isKept: boolean): Promise<void>;
  /** Where daemons that belong into the VPC run; `undefined` when there is no such place. */
  netnsPath(vpcId: string): string | undefined;
  /** CIDR blocks that the host uses for itself or others. */
  blocksInUse(): Promise<readonly { readonly cidr: string; readonly holder: string }[]>;
  /** A free link-local /30 for the veth to a VPC. */
  pickLink(taken: readonly string[]): Promise<string>;
  /** See PortPublisher. */
  publish(ports: readonly PublishedPort[]): Promise<readonly PublishOutcome[]>;
  /** Leaves the host as it was found. */
  removeEverything(): Promise<void>;
}

/** Keeps records only: no namespaces, no rules. */
export const recordsOnlyKernel: Kernel = {
  start: async () => {},
  buildVpc: async () => {},
  removeVpc: async () => {},
  syncGroup: async () => {},
  syncRoutes: async () => {},
  plug: async () => {},
  unplug: async () => {},
  mendHost: async () => {},
  netnsPath: () => undefined,
  blocksInUse: async () => [],
  pickLink: async () => "169.254.172.0/30",
  publish: async (ports) => ports.map(() => ({ open: false, problem: "the simulated engine has no network to publish" })),
  removeEverything: async () => {},
};
