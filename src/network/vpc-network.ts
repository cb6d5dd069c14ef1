/** The awsvpc network: records, kernel, resolvers and the host's names, tied together. */
import { join } from "node:path";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import type { NetworkStatus } from "../contracts/engine.ts";
import type {
  AttachRequest,
  Network,
  OwnedNames,
  PortPublisher,
  PublishOutcome,
  PublishedPort,
  VirtualAddresses,
  VirtualAddressing,
  VpcEndpoint,
} from "../contracts/network.ts";
import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { Problem, isProblem, messageOf } from "../core/problem.ts";
import { addressAt, formatIpv4, parseCidr } from "./cidr.ts";
import type { HostResolvers } from "./host-resolvers.ts";
import { RESOLV_CONF_PATHS, readHostResolvers, watchHostResolvers } from "./host-resolvers.ts";
import { HostsFile } from "./hosts-file.ts";
import { nextFreeAddress } from "./ipam.ts";
import { recordsOnlyKernel } from "./kernel.ts";
import { createLinuxKernel } from "./linux-kernel.ts";
import { NetworkModel } from "./model.ts";
import { networkStatus } from "./network-status.ts";
import { ENDPOINT_ADDRESS, KUBELET_PORT, METADATA_PORT, privateDomain } from "./object-names.ts";
import { namesOf } from "./plan-dns.ts";
import type { EniRecord, SubnetRecord, VpcRecord } from "./records.ts";
import { ServiceTables } from "./service-tables.ts";
import { Serial } from "./shell.ts";
import { watchHost } from "./watch-host.ts";
import { type RetryingKernel, retryingKernel } from "./retrying-kernel.ts";
import { type VpcAdmin, createVpcAdmin } from "./vpc-admin.ts";
import { type ActiveVpc, isActive, type Ports, type VpcFacts } from "./vpc-facts.ts";
import { RESOLVER_DAEMON_PREFIX, VpcResolver, resolverDaemonName } from "./vpc-resolver.ts";

export interface NetworkOptions {
  readonly config: InstanceConfig;
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly supervisor: DaemonSupervisor;
  /** For tests: a network namespace that plays the host. */
  readonly hostNetnsPath?: string;
  /** For tests: default /etc/hosts. */
  readonly hostsPath?: string;
  /** For tests: where the host's name servers are found. */
  readonly resolvConfPaths?: readonly string[];
}

/** The Network contract, the EC2 API's records, and the life of both. */
export interface VpcNetwork extends Network, PortPublisher, VirtualAddressing {
  /** VPCs, subnets, groups, routes: what the EC2 API shows and changes. */
  readonly admin: VpcAdmin;
  /**
   * Adopts what an earlier run left, rebuilds what is missing, sweeps what nobody owns, and makes the default VPC at first start.
   * Once, before any other call. Running tasks' traffic is not disturbed.
   * @throws Problem `conflict` when the configured CIDR is used by others on this host, naming them and a free one.
   */
  start(): Promise<void>;
  /** Stops watching. Everything stays in force. */
  close(): Promise<void>;
  /**
   * Leaves the host as it was found: no links, namespaces, rules, routes, resolvers or names of this instance, and kernel settings as
   * before. Tasks and load balancers must have been ended before: what runs in a namespace keeps it alive without a name. The records stay.
   */
  removeEverything(): Promise<void>;
  /** Called with all endpoints whenever a VPC comes into use or goes. */
  watchEndpoints(listener: (endpoints: readonly VpcEndpoint[]) => void): Disposable;
}

/**
 * Makes the network of an instance; `start` brings it up. With `engine: "simulated"` it keeps records and addresses only and touches
 * nothing of the machine.
 */
export async function createNetwork(options: NetworkOptions): Promise<VpcNetwork> {
  const model = new NetworkModel(options.store);
  await model.load();
  return new LinuxVpcNetwork(options, model);
}

class LinuxVpcNetwork implements VpcNetwork {
  readonly admin: VpcAdmin;
  readonly #options: NetworkOptions;
  readonly #model: NetworkModel;
  readonly #kernel: RetryingKernel;
  readonly #ports: Ports;
  readonly #logger: Logger;
  readonly #hosts: HostsFile;
  readonly #resolvers = new Map<string, VpcResolver>();
  readonly #activations = new Map<string, Promise<ActiveVpc>>();
  readonly #allocations = new Map<string, Promise<EniRecord>>();
  readonly #lastAddress = new Map<string, string>();
  readonly #endpointListeners = new Set<(endpoints: readonly VpcEndpoint[]) => void>();
  readonly #linkTurn = new Serial();
  readonly #services: ServiceTables;
  #hostResolvers: HostResolvers;
  readonly #watches = new DisposableStack();

  constructor(options: NetworkOptions, model: NetworkModel) {
    const { config, store, ids } = options;
    this.#options = options;
    this.#model = model;
    this.#logger = options.logger.child({ room: "network" });
    this.#services = new ServiceTables(this.#logger);
    this.#ports = { apiPort: config.port, metadataPort: METADATA_PORT, kubeletPort: KUBELET_PORT, hostPorts: config.hostPorts };
    this.#hosts = new HostsFile(options.hostsPath ?? "/etc/hosts", config.instanceId);
    this.#hostResolvers = readHostResolvers(this.#resolvConfPaths);
    const kernel = this.#isSimulated
      ? recordsOnlyKernel
      : createLinuxKernel({
          instanceId: config.instanceId,
          ports: this.#ports,
          store,
          ids,
          logger: this.#logger,
          factsOf: (vpcId) => this.#factsOf(vpcId),
          activeVpcs: () => this.#activeVpcs(),
          loopbackResolver: () => this.#hostResolvers.loopback,
          hostNetnsPath: options.hostNetnsPath,
        });
    this.#kernel = retryingKernel(kernel, { clock: options.clock, logger: this.#logger });
    this.admin = createVpcAdmin({
      model,
      kernel: this.#kernel,
      clock: options.clock,
      ids,
      home: { account: config.account, region: config.region, vpcCidr: config.vpcCidr },
      onVpcDeleted: (vpcId) => this.#removeVpc(vpcId),
    });
  }

  get #isSimulated(): boolean {
    return this.#options.config.engine === "simulated";
  }

  get #resolvConfPaths(): readonly string[] {
    return this.#options.resolvConfPaths ?? RESOLV_CONF_PATHS;
  }

  #activeVpcs(): ActiveVpc[] {
    return this.#model.vpcs.all().filter(isActive);
  }

  #factsOf(vpcId: string): VpcFacts | undefined {
    const vpc = this.#model.vpcs.get(vpcId);
    if (vpc === undefined || !isActive(vpc)) return undefined;
    return {
      vpc,
      subnets: this.#model.subnetsOf(vpcId),
      groups: this.#model.groupsOf(vpcId),
      enis: this.#model.enisOf(vpcId),
      routeTables: this.#model.routeTablesOf(vpcId),
      ports: this.#ports,
    };
  }

  async start(): Promise<void> {
    const { account, region } = this.#options.config;
    const active = this.#activeVpcs();
    await this.#kernel.start(active.flatMap((vpc) => this.#factsOf(vpc.vpcId) ?? []));
    await this.#sweepResolvers(active);
    const home = await this.admin.ensureDefaultVpc({ account, region });
    await Promise.all([...new Set([...active.map((vpc) => vpc.vpcId), home.vpcId])].map((vpcId) => this.#activate(vpcId)));
    await this.#writeHosts();
    if (this.#isSimulated) return;
    this.#watches.use(watchHostResolvers(this.#resolvConfPaths, () => void this.#hostResolversChanged()));
    const { clock, hostNetnsPath } = this.#options;
    this.#watches.use(watchHost({ clock, logger: this.#logger, netnsPath: hostNetnsPath, onChange: () => this.#kernel.mendHost() }));
  }

  async close(): Promise<void> {
    this.#watches.dispose();
    this.#kernel[Symbol.dispose]();
    this.#endpointListeners.clear();
  }

  async removeEverything(): Promise<void> {
    await this.close();
    if (this.#isSimulated) return;
    await this.#sweepResolvers([]);
    this.#resolvers.clear();
    this.#activations.clear();
    await this.#kernel.removeEverything();
    await this.#hosts.write([]);
  }

  /** Ends the resolvers of VPCs that are gone. */
  async #sweepResolvers(keep: readonly VpcRecord[]): Promise<void> {
    if (this.#isSimulated) return;
    const names = new Set(keep.map((vpc) => resolverDaemonName(vpc.vpcId)));
    const { supervisor } = this.#options;
    const orphans = supervisor.list().filter(({ name }) => name.startsWith(RESOLVER_DAEMON_PREFIX) && !names.has(name));
    for (const { name } of orphans) await supervisor.stop(name);
  }

  /** Gives the VPC its namespace, rules, link to the host and resolver, once in this process; adopts what is there. */
  #activate(vpcId: string): Promise<ActiveVpc> {
    const known = this.#activations.get(vpcId);
    if (known !== undefined) return known;
    const made = this.#bringUp(vpcId);
    this.#activations.set(vpcId, made);
    made.catch(() => this.#activations.delete(vpcId));
    return made;
  }

  async #bringUp(vpcId: string): Promise<ActiveVpc> {
    const vpc = await this.#linkTurn.run(() => this.#withLink(vpcId));
    await this.#kernel.buildVpc(vpcId);
    await this.#resolverOf(vpc)?.ensure();
    const endpoints = this.#endpoints();
    for (const listener of this.#endpointListeners) listener(endpoints);
    return vpc;
  }

  async #withLink(vpcId: string): Promise<ActiveVpc> {
    const vpc = this.#model.vpcs.get(vpcId);
    if (vpc === undefined) throw new Problem("not-found", `VPC ${vpcId} does not exist`);
    if (isActive(vpc)) return vpc;
    const cidr = await this.#kernel.pickLink(this.#activeVpcs().map((other) => other.link.cidr));
    const active = { ...vpc, link: { cidr, hostAddress: addressAt(cidr, 1), vpcAddress: addressAt(cidr, 2) } };
    await this.#model.commit([this.#model.vpcs.put(active)]);
    return active;
  }

  async #removeVpc(vpcId: string): Promise<void> {
    await this.#resolvers.get(vpcId)?.stop();
    this.#resolvers.delete(vpcId);
    this.#activations.delete(vpcId);
    await this.#kernel.removeVpc(vpcId);
    const endpoints = this.#endpoints();
    for (const listener of this.#endpointListeners) listener(endpoints);
  }

  #resolverOf(vpc: ActiveVpc): VpcResolver | undefined {
    const netnsPath = this.#kernel.netnsPath(vpc.vpcId);
    if (netnsPath === undefined) return undefined;
    const known = this.#resolvers.get(vpc.vpcId);
    if (known !== undefined) return known;
    const { config, supervisor } = this.#options;
    const resolver = new VpcResolver({
      vpc,
      netnsPath,
      runDir: config.runDir,
      logDir: join(config.dataDir, "log"),
      supervisor,
      logger: this.#logger,
      names: () => namesOf(vpc, this.#model.enisOf(vpc.vpcId), this.#model.names.all()),
      upstreams: () => (this.#hostResolvers.loopback === undefined ? this.#hostResolvers.upstreams : [vpc.link.hostAddress]),
    });
    this.#resolvers.set(vpc.vpcId, resolver);
    return resolver;
  }

  async #hostResolversChanged(): Promise<void> {
    const next = readHostResolvers(this.#resolvConfPaths);
    if (JSON.stringify(next) === JSON.stringify(this.#hostResolvers)) return;
    this.#hostResolvers = next;
    try {
      // The path to a resolver on the host's loopback is part of each VPC's rules.
      await Promise.all([...this.#resolvers.keys()].map((vpcId) => this.#kernel.buildVpc(vpcId)));
      await Promise.all([...this.#resolvers.values()].map((resolver) => resolver.refreshUpstreams()));
    } catch (error) {
      this.#logger.warn(`the VPCs' resolvers did not take over the host's name servers: ${messageOf(error)}`);
    }
  }

  async allocate(request: AttachRequest): Promise<NetworkStatus> {
    return this.#statusOf(await this.#reserve(request, { local: false }));
  }

  async attachLocal(request: AttachRequest): Promise<NetworkStatus> {
    const eni = await this.#reserve(request, { local: true });
    await this.#kernel.plug(eni);
    return this.#statusOf(eni);
  }

  async #reserve(request: AttachRequest, { local }: { readonly local: boolean }): Promise<EniRecord> {
    const { attachmentId } = request;
    const underWay = this.#allocations.get(attachmentId);
    if (underWay !== undefined) return await underWay;
    const known = this.#model.enis.get(attachmentId);
    if (known !== undefined) return known;
    const made = this.#makeEni(request, local).finally(() => this.#allocations.delete(attachmentId));
    this.#allocations.set(attachmentId, made);
    return await made;
  }

  async #makeEni(request: AttachRequest, local: boolean): Promise<EniRecord> {
    const subnet = this.#subnet(request.subnetId);
    if (subnet.account !== request.account || subnet.region !== request.region) throw noSubnet(request.subnetId);
    await this.#activate(subnet.vpcId);
    const eni = this.#newEni(request, this.#subnet(request.subnetId), local);
    // Seen at once, so that nobody else gets the address, and the groups cannot be deleted.
    this.#model.enis.apply(eni);
    try {
      await this.#model.commit([this.#model.enis.put(eni)]);
    } catch (error) {
      this.#model.enis.forget(eni);
      throw error;
    }
    await this.#mustBeInPlace(eni);
    this.#resolvers.get(eni.vpcId)?.syncSoon();
    return eni;
  }

  /** What was being deleted while the record was made is gone by now: an interface of nothing could never be plugged, nor detached. */
  async #mustBeInPlace(eni: EniRecord): Promise<void> {
    const lost = eni.groupIds.find((groupId) => this.#model.groups.get(groupId) === undefined);
    if (lost === undefined && this.#model.subnets.get(eni.subnetId) !== undefined) return;
    await this.#forgetEni(eni);
    throw lost === undefined ? noSubnet(eni.subnetId) : noGroup(lost);
  }

  #newEni(request: AttachRequest, subnet: SubnetRecord, local: boolean): EniRecord {
    const { ids, clock } = this.#options;
    const mac = `02${ids.hex(10)}`;
    return {
      account: request.account,
      region: request.region,
      attachmentId: request.attachmentId,
      eniId: `eni-0${ids.hex(16)}`,
      owner: request.owner,
      description: request.description,
      vpcId: subnet.vpcId,
      subnetId: subnet.subnetId,
      availabilityZone: subnet.availabilityZone,
      groupIds: local && request.unguarded === true ? [] : this.#groupsFor(request, subnet.vpcId),
      privateIpv4: this.#nextAddress(subnet),
      macAddress: mac.match(/../g)?.join(":") ?? mac,
      assignPublicIp: request.assignPublicIp,
      local,
      ...(request.isNode === true && { isNode: true }),
      createdAtMs: clock.nowMs(),
      tags: {},
    };
  }

  /** The VPC's default group where none is named, as on AWS. */
  #groupsFor(request: AttachRequest, vpcId: string): readonly string[] {
    const groups = this.#model.groupsOf(vpcId);
    if (request.securityGroupIds.length === 0) return groups.filter((group) => group.groupName === "default").map((group) => group.groupId);
    for (const groupId of request.securityGroupIds) {
      const group = this.#model.groups.get(groupId);
      if (group === undefined || group.account !== request.account) throw noGroup(groupId);
      if (group.vpcId !== vpcId)
        throw new Problem("invalid", `Security group ${groupId} and subnet ${request.subnetId} belong to different networks.`);
    }
    return [...new Set(request.securityGroupIds)];
  }

  #nextAddress(subnet: SubnetRecord): string {
    const used = new Set(this.#model.enisOf(subnet.vpcId).map((eni) => eni.privateIpv4));
    const after = this.#lastAddress.get(subnet.subnetId) ?? this.#randomStart(subnet);
    const address = nextFreeAddress(subnet.cidr, used, after);
    if (address === undefined) throw new Problem("exhausted", `subnet ${subnet.subnetId} (${subnet.cidr}) has no free address`);
    this.#lastAddress.set(subnet.subnetId, address);
    return address;
  }

  /** After a restart nobody knows which address was given back last: begins anywhere. */
  #randomStart(subnet: SubnetRecord): string {
    const { base, size } = parseCidr(subnet.cidr);
    return formatIpv4(base + Math.floor(this.#options.ids.random() * size));
  }

  async plug(attachmentId: string, netnsPath: string): Promise<void> {
    const eni = this.#model.enis.get(attachmentId);
    if (eni === undefined) throw new Problem("not-found", `network attachment ${attachmentId} does not exist: allocate it first`);
    if (eni.local) throw new Problem("invalid", `network attachment ${attachmentId} lives in its VPC's own namespace and cannot be plugged`);
    await this.#activate(eni.vpcId);
    const plugged = { ...eni, netnsPath };
    if (eni.netnsPath !== netnsPath) await this.#model.commit([this.#model.enis.put(plugged)]);
    await this.#kernel.plug(plugged);
  }

  async translate(attachmentId: string, addresses: VirtualAddresses): Promise<void> {
    const { netnsPath } = this.#model.enis.get(attachmentId) ?? {};
    if (netnsPath !== undefined && !this.#isSimulated) await this.#services.apply(attachmentId, netnsPath, addresses);
  }

  async unplug(attachmentId: string): Promise<void> {
    this.#services.forget(attachmentId);
    const eni = this.#model.enis.get(attachmentId);
    if (eni === undefined || eni.netnsPath === undefined) return;
    await this.#activate(eni.vpcId);
    await this.#kernel.unplug(eni, true);
    const { netnsPath: _left, ...free } = eni;
    await this.#model.commit([this.#model.enis.put(free)]);
  }

  async detach(attachmentId: string): Promise<void> {
    this.#services.forget(attachmentId);
    await this.#allocations.get(attachmentId)?.catch(() => {});
    const eni = this.#model.enis.get(attachmentId);
    if (eni === undefined) return;
    await this.#activate(eni.vpcId).catch((error: unknown) => {
      // Others have its block: it has no way to the host, and what is to go can go.
      if (!isProblem(error, "conflict")) throw error;
    });
    await this.#kernel.unplug(eni, false);
    await this.#forgetEni(eni);
    this.#resolvers.get(eni.vpcId)?.syncSoon();
  }

  /** A record that is gone from the store already (a call that was repeated) only leaves the memory. */
  async #forgetEni(eni: EniRecord): Promise<void> {
    const change = this.#model.enis.remove(eni);
    try {
      await this.#model.commit([change]);
    } catch (error) {
      if (!isProblem(error, "not-found")) throw error;
      change.apply();
    }
  }

  async list(): Promise<readonly { readonly attachmentId: string; readonly owner: string; readonly status: NetworkStatus }[]> {
    return this.#model.enis.all().map((eni) => ({ attachmentId: eni.attachmentId, owner: eni.owner, status: this.#statusOf(eni) }));
  }

  publish(ports: readonly PublishedPort[]): Promise<readonly PublishOutcome[]> {
    return this.#kernel.publish(ports);
  }

  async netnsOf(vpcId: string): Promise<string> {
    await this.#activate(vpcId);
    const path = this.#kernel.netnsPath(vpcId);
    if (path === undefined) throw new Problem("unsupported", `VPC ${vpcId} has no network namespace: the simulated engine makes none`);
    return path;
  }

  async setNames(owner: string, names: OwnedNames): Promise<void> {
    const known = this.#model.names.get(owner);
    const record = { owner, ...names };
    if (names.records.length > 0) await this.#model.commit([this.#model.names.put(record)]);
    else if (known !== undefined) await this.#model.commit([this.#model.names.remove(known)]);
    const vpcIds = new Set([names.vpcId, ...(known === undefined ? [] : [known.vpcId])]);
    await Promise.all([...vpcIds].map(async (vpcId) => await this.#resolvers.get(vpcId)?.sync()));
    await this.#writeHosts();
  }

  async #writeHosts(): Promise<void> {
    if (!this.#options.config.manageHosts || this.#isSimulated) return;
    const records = this.#model.names.all().filter((names) => names.host);
    await this.#hosts.write(records.flatMap((names) => names.records).sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  async dnsFor(subnetId: string): Promise<{ readonly servers: readonly string[]; readonly searches: readonly string[] }> {
    const subnet = this.#subnet(subnetId);
    const vpc = this.#model.vpcs.get(subnet.vpcId);
    if (vpc === undefined) throw new Problem("not-found", `VPC ${subnet.vpcId} does not exist`);
    return { servers: [addressAt(vpc.cidr, 2)], searches: [privateDomain(vpc.region)] };
  }

  async endpoints(): Promise<readonly VpcEndpoint[]> {
    return this.#endpoints();
  }

  #endpoints(): readonly VpcEndpoint[] {
    const { apiPort, metadataPort, kubeletPort } = this.#ports;
    return this.#activeVpcs().map(({ vpcId, link }) => ({
      vpcId,
      hostAddress: link.hostAddress,
      apiPort,
      metadataPort,
      kubeletPort,
      apiUrl: `http://${ENDPOINT_ADDRESS}:${apiPort}`,
    }));
  }

  watchEndpoints(listener: (endpoints: readonly VpcEndpoint[]) => void): Disposable {
    this.#endpointListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#endpointListeners.delete(listener) };
  }

  #subnet(subnetId: string): SubnetRecord {
    const subnet = this.#model.subnets.get(subnetId);
    if (subnet === undefined) throw noSubnet(subnetId);
    return subnet;
  }

  #statusOf(eni: EniRecord): NetworkStatus {
    return networkStatus(eni, this.#subnet(eni.subnetId));
  }
}

function noGroup(groupId: string): Problem {
  return new Problem("not-found", `The security group '${groupId}' does not exist`);
}

function noSubnet(subnetId: string): Problem {
  return new Problem("not-found", `The subnet ID '${subnetId}' does not exist`);
}
