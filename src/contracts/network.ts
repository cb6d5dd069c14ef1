import type { NetworkStatus } from "./engine.ts";

export interface AttachRequest {
  /** Idempotency token and owner record: attach twice answers the same address. */
  readonly attachmentId: string;
  /** Who it is for, e.g. a task id; in names and labels. */
  readonly owner: string;
  readonly account: string;
  readonly region: string;
  readonly subnetId: string;
  readonly securityGroupIds: readonly string[];
  /** In no security group, and open to everybody, as a network load balancer without groups is; with `attachLocal` alone. */
  readonly unguarded?: boolean;
  readonly assignPublicIp: boolean;
  readonly description: string;
  /** Port 10250 of the address is the kubelet of a node that has it, and leads to Tidegate from when the interface is plugged until it is detached. */
  readonly isNode?: boolean;
}

/**
 * The awsvpc network. Owns VPCs, subnets, security groups, ENIs and route tables, and their enforcement in the kernel.
 * Security group membership is in force before the link is up.
 */
export interface Network {
  /** Reserves an address and makes the ENI record. @throws Problem `not-found` (subnet, group), `exhausted` (no free address), `invalid`. */
  allocate(request: AttachRequest): Promise<NetworkStatus>;
  /** Plugs the allocated ENI into the namespace at `netnsPath` and sets it up (addresses, routes). Idempotent. */
  plug(attachmentId: string, netnsPath: string): Promise<void>;
  /** Takes the interface out of its namespace and of its groups; the address stays allocated. Idempotent; unknown ids succeed. */
  unplug(attachmentId: string): Promise<void>;
  /** Takes the interface and the groups' membership away and frees the address. Idempotent; unknown ids succeed. */
  detach(attachmentId: string): Promise<void>;
  list(): Promise<readonly { readonly attachmentId: string; readonly owner: string; readonly status: NetworkStatus }[]>;
  /** Like allocate and plug in one, for an address that lives in the VPC's own namespace (a load balancer's): bound on its `lo`, groups enforced on what leaves and enters it. */
  attachLocal(request: AttachRequest): Promise<NetworkStatus>;
  /** Path of the VPC's network namespace, for daemons that run inside it. @throws Problem `not-found`. */
  netnsOf(vpcId: string): Promise<string>;
  /** Sets the names that `owner` has in the VPC's resolver, replacing what it had; with `host`, also in the marked block of the host's /etc/hosts. No records: removes them. */
  setNames(owner: string, names: OwnedNames): Promise<void>;
  /** Name servers, search domains and the VPC's hosts for a workload in this subnet. */
  dnsFor(subnetId: string): Promise<{ readonly servers: readonly string[]; readonly searches: readonly string[] }>;
  /** Addresses on the host's side of each VPC where Tidegate must listen for what containers call: AWS APIs and metadata. */
  endpoints(): Promise<readonly VpcEndpoint[]>;
}

/** A port of the host that leads to an address in a VPC. */
export interface PublishedPort {
  /** IPv4 address of the host; `0.0.0.0`: all it has, loopback included. */
  readonly address: string;
  readonly port: number;
  readonly vpcId: string;
  /** Who listens there on the same port, e.g. a load balancer's address. */
  readonly target: string;
}

export interface PublishOutcome {
  readonly open: boolean;
  /** Why it is not open, or what is wrong although it is; in words. */
  readonly problem?: string;
}

/** Lets the world in, at ports of the host. The kernel carries it: what is open stays open while Tidegate is away. */
export interface PortPublisher {
  /**
   * Makes these ports lead into VPCs, and closes all others; what is open and wanted still is not disturbed, and connections that are
   * established go on. Answers what became of each, in the same order: one that another program holds is not opened. Idempotent, and to be
   * asked again from time to time: ports become free, links come up.
   */
  publish(ports: readonly PublishedPort[]): Promise<readonly PublishOutcome[]>;
}

/** Where a VPC's containers reach Tidegate. The server listens on `hostAddress`; inside the VPC `apiUrl` and 169.254.170.2:80 lead there. */
export interface VpcEndpoint {
  readonly vpcId: string;
  /** Host end of the VPC's veth. */
  readonly hostAddress: string;
  /** The AWS APIs and the registry, listened on at hostAddress. */
  readonly apiPort: number;
  /** The task metadata and credentials server, listened on at hostAddress; the caller is known by its source address. */
  readonly metadataPort: number;
  /** The kubelets of the VPC's nodes, listened on at hostAddress; who calls one is seen as coming from the node's own address. */
  readonly kubeletPort: number;
  /** What is injected as AWS_ENDPOINT_URL, e.g. `http://169.254.171.2:4566`. */
  readonly apiUrl: string;
}

export interface OwnedNames {
  readonly vpcId: string;
  readonly records: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  readonly host: boolean;
}

/** A port of a virtual address: connections to it go to one of its backends, any as likely as another. */
export interface VirtualPort {
  readonly address: string;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
  /** Without any, connections are refused. */
  readonly backends: readonly { readonly address: string; readonly port: number }[];
  /** A client comes to the same backend again until it has stayed away for so long. */
  readonly affinitySeconds?: number;
  /** Leads a client to itself where it is a backend; anybody else is refused. */
  readonly onlyItself?: boolean;
}

/** Addresses that nobody has, e.g. of Kubernetes services. */
export interface VirtualAddresses {
  /** What is in this block and has no port here is refused. */
  readonly cidr: string;
  readonly ports: readonly VirtualPort[];
}

/** Makes virtual addresses work for the programs behind an interface. The kernel carries it: they work while Tidegate is away. */
export interface VirtualAddressing {
  /**
   * From now on these are the virtual addresses of the interface, in one step; connections that are established go on. Only while it is plugged:
   * else nothing happens. Cheap where nothing has changed; hand in the same object for many interfaces.
   */
  translate(attachmentId: string, addresses: VirtualAddresses): Promise<void>;
}
