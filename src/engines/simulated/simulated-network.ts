import type { NetworkStatus } from "../../contracts/engine.ts";
import type { AttachRequest, Network, OwnedNames, VpcEndpoint } from "../../contracts/network.ts";
import { Problem } from "../../core/problem.ts";

export interface SimulatedNetworkOptions {
  /** Subnets there are, each with its VPC; default one `subnet-1` of `vpc-1`, 10.0.0.0/16. */
  readonly subnets?: Readonly<Record<string, { readonly vpcId: string; readonly cidr: string }>>;
  readonly endpoints?: readonly VpcEndpoint[];
  readonly region?: string;
}

/** What a test may ask of it. */
export interface NetworkSimulation {
  /** The namespace each attachment is plugged into. */
  readonly plugged: ReadonlyMap<string, string>;
  readonly names: ReadonlyMap<string, OwnedNames>;
}

/** A Network without a kernel: addresses are handed out in order and taken back. */
export function createSimulatedNetwork(options: SimulatedNetworkOptions = {}): Network & NetworkSimulation {
  return new SimulatedNetwork(options);
}

class SimulatedNetwork implements Network, NetworkSimulation {
  readonly plugged = new Map<string, string>();
  readonly names = new Map<string, OwnedNames>();
  readonly #options: SimulatedNetworkOptions;
  readonly #subnets: NonNullable<SimulatedNetworkOptions["subnets"]>;
  readonly #attachments = new Map<string, { readonly attachmentId: string; readonly owner: string; readonly status: NetworkStatus }>();
  readonly #used = new Map<string, Set<number>>();

  constructor(options: SimulatedNetworkOptions) {
    this.#options = options;
    this.#subnets = options.subnets ?? { "subnet-1": { vpcId: "vpc-1", cidr: "10.0.0.0/16" } };
  }

  async allocate(request: AttachRequest): Promise<NetworkStatus> {
    const known = this.#attachments.get(request.attachmentId);
    if (known !== undefined) return known.status;
    const subnet = this.#subnets[request.subnetId];
    if (subnet === undefined) throw new Problem("not-found", `The subnet ID '${request.subnetId}' does not exist`);
    const [base = "", length = ""] = subnet.cidr.split("/");
    const used = this.#used.get(request.subnetId) ?? new Set<number>();
    this.#used.set(request.subnetId, used);
    const hosts = 2 ** (32 - Number(length)) - 1;
    // The first four addresses of a subnet and its last are reserved, as in a VPC.
    let host = 4;
    while (used.has(host)) host++;
    if (host >= hosts) throw new Problem("exhausted", `subnet ${request.subnetId} has no free address`);
    used.add(host);
    const privateIpv4 = addressAt(base, host);
    const status: NetworkStatus = {
      attachmentId: request.attachmentId,
      eniId: `eni-${host.toString(16).padStart(17, "0")}`,
      macAddress: `02:00:00:${[16, 8, 0].map((shift) => ((host >> shift) & 255).toString(16).padStart(2, "0")).join(":")}`,
      privateIpv4,
      privateDnsName: `ip-${privateIpv4.replaceAll(".", "-")}.${this.#options.region ?? request.region}.compute.internal`,
      subnetId: request.subnetId,
      vpcId: subnet.vpcId,
      subnetCidr: subnet.cidr,
      gatewayIpv4: addressAt(base, 1),
    };
    this.#attachments.set(request.attachmentId, { attachmentId: request.attachmentId, owner: request.owner, status });
    return status;
  }

  async plug(attachmentId: string, netnsPath: string): Promise<void> {
    if (!this.#attachments.has(attachmentId)) throw new Problem("not-found", `there is no attachment ${attachmentId}`);
    this.plugged.set(attachmentId, netnsPath);
  }

  async unplug(attachmentId: string): Promise<void> {
    this.plugged.delete(attachmentId);
  }

  async detach(attachmentId: string): Promise<void> {
    const known = this.#attachments.get(attachmentId);
    this.#attachments.delete(attachmentId);
    this.plugged.delete(attachmentId);
    if (known === undefined) return;
    const base = this.#subnets[known.status.subnetId]?.cidr.split("/")[0] ?? "0.0.0.0";
    this.#used.get(known.status.subnetId)?.delete(numberOf(known.status.privateIpv4) - numberOf(base));
  }

  async list(): Promise<readonly { readonly attachmentId: string; readonly owner: string; readonly status: NetworkStatus }[]> {
    return [...this.#attachments.values()];
  }

  attachLocal(request: AttachRequest): Promise<NetworkStatus> {
    return this.allocate(request);
  }

  async netnsOf(vpcId: string): Promise<string> {
    if (!Object.values(this.#subnets).some((subnet) => subnet.vpcId === vpcId)) throw new Problem("not-found", `there is no VPC ${vpcId}`);
    return `/simulated/netns/${vpcId}`;
  }

  async setNames(owner: string, names: OwnedNames): Promise<void> {
    if (names.records.length === 0) this.names.delete(owner);
    else this.names.set(owner, names);
  }

  async dnsFor(subnetId: string): Promise<{ readonly servers: readonly string[]; readonly searches: readonly string[] }> {
    const base = this.#subnets[subnetId]?.cidr.split("/")[0] ?? "10.0.0.0";
    return { servers: [addressAt(base, 2)], searches: [`${this.#options.region ?? "us-east-1"}.compute.internal`] };
  }

  async endpoints(): Promise<readonly VpcEndpoint[]> {
    if (this.#options.endpoints !== undefined) return this.#options.endpoints;
    const vpcIds = [...new Set(Object.values(this.#subnets).map((subnet) => subnet.vpcId))];
    return vpcIds.map((vpcId) => ({
      vpcId,
      hostAddress: "127.0.0.1",
      apiPort: 4566,
      metadataPort: 0,
      kubeletPort: 0,
      apiUrl: "http://127.0.0.1:4566",
    }));
  }
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function addressAt(base: string, offset: number): string {
  const value = numberOf(base) + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}
