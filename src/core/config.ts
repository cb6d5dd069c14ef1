/** What is decided at an instance's first start and kept in `<dataDir>/instance.json`. */
export interface KeptInstance extends Pick<InstanceConfig, "instanceId" | "port" | "account" | "region" | "vpcCidr" | "runDir" | "engine"> {
  /** Ports that it had before: images named `localhost:<port>/…` then are its own still. */
  readonly earlierPorts?: readonly number[];
  /** Of the file; a newer one than is known is refused. */
  readonly format: number;
  /** Of the Tidegate that started it last. */
  readonly tidegateVersion: string;
}

/** A port of the host that leads to a load balancer's listener on the same port. */
export interface Publication {
  /** IPv4 address of the host; `0.0.0.0`: all it has, loopback included. */
  readonly address: string;
  readonly port: number;
  /** Its name, looked up in the instance's own account and region first, or its ARN. */
  readonly loadBalancer: string;
}

/** One running Tidegate: where it keeps things and how it is reached. Made once in `server/`, handed down, never global. */
export interface InstanceConfig {
  /** Six lower-case hex digits, made at first start and kept; in the name or label of everything outside the store. */
  readonly instanceId: string;
  /** e.g. `/var/lib/tidegate`. */
  readonly dataDir: string;
  /** Sockets, pids, namespaces: gone after a reboot. Short, because socket paths are: `/run/tidegate/<instanceId>`. */
  readonly runDir: string;
  /** Of the one listener, on 127.0.0.1 and on the VPCs' endpoint addresses. */
  readonly port: number;
  /** As in {@link KeptInstance}. */
  readonly earlierPorts?: readonly number[];
  /** Twelve digits. */
  readonly account: string;
  /** Where requests without a region, and the default VPC made at first start, belong. */
  readonly region: string;
  /** CIDR of the default VPC, e.g. `172.31.0.0/16`. */
  readonly vpcCidr: string;
  readonly auth: "iam" | "none";
  readonly engine: "cri" | "simulated";
  /** Host ports that containers may reach through `host.tidegate.internal`. */
  readonly hostPorts: readonly number[];
  /** Ports of the host that lead to load balancers. */
  readonly publish: readonly Publication[];
  /** Write the marked block in /etc/hosts. */
  readonly manageHosts: boolean;
  /** Containers and builds trust the host's CA bundle. */
  readonly trustHostCa: boolean;
}
