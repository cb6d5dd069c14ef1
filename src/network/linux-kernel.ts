/** The network in the Linux kernel: a namespace for each VPC, see `plan-filter.ts`, `plan-links.ts` and `plan-host.ts`. */
import { existsSync } from "node:fs";
import type { Store } from "../contracts/store.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { PublishOutcome, PublishedPort } from "../contracts/network.ts";
import { Problem, messageOf } from "../core/problem.ts";
import { run } from "../host/run.ts";
import { describeHolder } from "../host/listeners.ts";
import { planPorts } from "./host-ports.ts";
import type { Kernel } from "./kernel.ts";
import { LinuxHost } from "./linux-host.ts";
import { eniLinkName, hostLinkName, hostLinkPrefix, netnsName, netnsPath } from "./object-names.ts";
import { formatCidr, parseCidr, subBlock, tryParseCidr } from "./cidr.ts";
import { holderOf, usedBlocks } from "./pick-cidr.ts";
import type { HostFacts } from "./plan-host.ts";
import { planConnectionLimit, planGroupChange, planInternetSet, planJoin, planLeave, planVpcTable } from "./plan-filter.ts";
import type { ObservedNetns } from "./plan-links.ts";
import { VPC_SYSCTLS, planNetns, planTaskEnd, planUplink, planVpcEnd } from "./plan-links.ts";
import type { EniRecord } from "./records.ts";
import { BatchQueue, Serial, Shell, isMissing } from "./shell.ts";
import type { ActiveVpc, Ports, VpcFacts } from "./vpc-facts.ts";

export interface LinuxKernelOptions {
  readonly instanceId: string;
  readonly ports: Ports;
  readonly store: Store;
  readonly ids: Ids;
  readonly logger: Logger;
  /** The records of an active VPC at this moment. */
  readonly factsOf: (vpcId: string) => VpcFacts | undefined;
  readonly activeVpcs: () => readonly ActiveVpc[];
  readonly loopbackResolver: () => string | undefined;
  /** A namespace that plays the host, for tests. */
  readonly hostNetnsPath?: string;
}

export function createLinuxKernel(options: LinuxKernelOptions): Kernel {
  return new LinuxKernel(options);
}

interface Namespace {
  readonly shell: Shell;
  readonly nft: BatchQueue;
  /** For lines of `ip -batch` that may be repeated. */
  readonly ip: BatchQueue;
}

class LinuxKernel implements Kernel {
  readonly #options: LinuxKernelOptions;
  readonly #shell: Shell;
  readonly #host: LinuxHost;
  readonly #hostTurn = new Serial();
  readonly #namespaces = new Map<string, Namespace>();
  /** Which interfaces are known to be plugged whole, and where. */
  readonly #plugged = new Map<string, string>();
  /** Of the host's ports; the kernel has what an earlier process had opened. */
  #published: readonly PublishedPort[] = [];

  constructor(options: LinuxKernelOptions) {
    this.#options = options;
    this.#shell = new Shell(options.hostNetnsPath);
    this.#host = new LinuxHost({ instanceId: options.instanceId, shell: this.#shell, store: options.store, logger: options.logger });
  }

  async start(vpcs: readonly VpcFacts[]): Promise<void> {
    const { instanceId, logger } = this.#options;
    const names = new Set(vpcs.map(({ vpc }) => netnsName(instanceId, vpc.vpcId)));
    const links = new Set(vpcs.map(({ vpc }) => hostLinkName(instanceId, vpc.vpcId)));
    for (const link of (await this.#host.links()).filter((link) => !links.has(link))) {
      logger.info(`sweeping link ${link}: its VPC is gone`);
      await this.#host.removeLink(link);
    }
    for (const name of (await this.#host.namespaces()).filter((name) => !names.has(name))) {
      logger.info(`sweeping namespace ${name}: its VPC is gone`);
      await run(["ip", "netns", "del", name]);
    }
    await this.#host.forgetRoutes(new Set(vpcs.map(({ vpc }) => vpc.cidr)));
    this.#published = await this.#host.published();
    await this.#syncHost();
  }

  async publish(ports: readonly PublishedPort[]): Promise<readonly PublishOutcome[]> {
    if (ports.length === 0 && this.#published.length === 0) return [];
    const outcomes = planPorts(ports, { ...(await this.#host.portFacts()), open: this.#published }, describeHolder);
    this.#published = ports.filter((_, index) => outcomes[index]?.open === true);
    // Also where nothing has changed: links come up, and firewalls are loaded anew.
    await this.#syncHost().catch(async (error: unknown) => {
      this.#published = await this.#host.published();
      throw error;
    });
    return outcomes;
  }

  async buildVpc(vpcId: string): Promise<void> {
    const facts = this.#facts(vpcId);
    await this.#ensureNamespace(vpcId);
    const { shell, nft } = this.#namespace(vpcId);
    await shell.writeSysctls(VPC_SYSCTLS);
    // Rules before links: what is not allowed must never pass.
    await nft.apply(() => planVpcTable(this.#facts(vpcId)));
    await nft.apply(planConnectionLimit).catch((error: unknown) => {
      const words = "a task that opens connections without end may keep the others of its VPC from opening any: this kernel lacks nft_connlimit";
      this.#options.logger.warn(words, { vpcId, err: messageOf(error) });
    });
    await this.#hostTurn.run(() => this.#host.connect(facts.vpc, netnsPath(this.#options.instanceId, vpcId)));
    await shell.ipBatch(planUplink(facts));
    await this.#syncHost();
    await this.#mendNetns(vpcId);
  }

  async removeVpc(vpcId: string): Promise<void> {
    const { instanceId } = this.#options;
    await this.#host.removeLink(hostLinkName(instanceId, vpcId));
    await run(["ip", "netns", "del", netnsName(instanceId, vpcId)]).catch(ignoreMissing);
    this.#namespaces.delete(vpcId);
    await this.#host.forgetRoutes(new Set(this.#options.activeVpcs().map((vpc) => vpc.cidr)));
    await this.#syncHost();
  }

  async syncGroup(vpcId: string, groupId: string): Promise<void> {
    await this.#namespace(vpcId).nft.apply(() => planGroupChange(this.#facts(vpcId).groups, groupId));
  }

  async syncRoutes(vpcId: string): Promise<void> {
    await this.#namespace(vpcId).nft.apply(() => planInternetSet(this.#facts(vpcId)));
    await this.#mendNetns(vpcId);
  }

  async plug(eni: EniRecord): Promise<void> {
    if (this.#plugged.get(eni.eniId) === placeOf(eni)) return;
    const { shell, nft, ip } = this.#namespace(eni.vpcId);
    const joined = nft.apply(() => planJoin(eni, this.#facts(eni.vpcId)));
    if (eni.local) {
      await joined;
      await shell.ipBatch(`address replace ${eni.privateIpv4}/32 dev lo\n`);
    } else {
      const made = await Promise.allSettled([joined, this.#makeLink(eni)]);
      for (const step of made) if (step.status === "rejected") throw step.reason;
      await ip.apply(() => planVpcEnd(eni));
    }
    this.#plugged.set(eni.eniId, placeOf(eni));
  }

  /** The pair, with the task's end set up and the VPC's end still down. */
  async #makeLink(eni: EniRecord): Promise<void> {
    const { netnsPath: taskNetns = "" } = eni;
    const subnet = this.#facts(eni.vpcId).subnets.find((candidate) => candidate.subnetId === eni.subnetId);
    if (subnet === undefined) throw new Problem("not-found", `subnet ${eni.subnetId} of interface ${eni.eniId} is gone`);
    const batch = planTaskEnd(eni, subnet.cidr, netnsPath(this.#options.instanceId, eni.vpcId));
    const task = new Shell(taskNetns);
    try {
      await task.ipBatch(batch);
    } catch (error) {
      if (!existsSync(taskNetns)) throw new Problem("not-found", `the task's namespace ${taskNetns} is gone`, { cause: error });
      // Half made by an earlier try, or by one that was killed.
      await this.#deleteLink(eni);
      await task.ipBatch(batch);
    }
  }

  async unplug(eni: EniRecord, isKept: boolean): Promise<void> {
    this.#plugged.delete(eni.eniId);
    const namespace = this.#namespace(eni.vpcId);
    await namespace.nft.apply(() => this.#leaveText(eni, isKept));
    if (eni.local) await namespace.shell.run(["ip", "address", "del", `${eni.privateIpv4}/32`, "dev", "lo"]).catch(ignoreMissingAddress);
    else await this.#deleteLink(eni);
  }

  /** Sets of groups that are gone cannot be named. */
  #leaveText(eni: EniRecord, isKept: boolean): string {
    const groups = new Set(this.#facts(eni.vpcId).groups.map((group) => group.groupId));
    return planLeave({ ...eni, groupIds: eni.groupIds.filter((groupId) => groups.has(groupId)) }, isKept);
  }

  async #deleteLink(eni: EniRecord): Promise<void> {
    await this.#namespace(eni.vpcId)
      .shell.run(["ip", "link", "del", eniLinkName(eni.eniId)])
      .catch(ignoreMissing);
  }

  netnsPath(vpcId: string): string {
    return netnsPath(this.#options.instanceId, vpcId);
  }

  async blocksInUse(): Promise<readonly { readonly cidr: string; readonly holder: string }[]> {
    return usedBlocks(this.#shell, (link) => link.startsWith(hostLinkPrefix(this.#options.instanceId)));
  }

  async pickLink(taken: readonly string[]): Promise<string> {
    const used = [...(await usedBlocks(this.#shell, () => false)), ...taken.map((cidr) => ({ cidr, holder: "another VPC" }))].filter(
      // Hosts with zeroconf route all of 169.254.0.0/16 by a link; ours are more specific.
      (block) => (tryParseCidr(block.cidr)?.prefix ?? 0) > 16,
    );
    // From 169.254.172.0 to 169.254.251.252: clear of the addresses that AWS uses.
    const first = parseCidr("169.254.172.0/30");
    for (let attempt = 0; attempt < 4096; attempt++) {
      const block = formatCidr(subBlock(first, 30, Math.floor(this.#options.ids.random() * 80 * 64)));
      if (holderOf(block, used) === undefined) return block;
    }
    throw new Problem("exhausted", "no free link-local /30 for a VPC's link to the host between 169.254.172.0 and 169.254.251.255");
  }

  async removeEverything(): Promise<void> {
    for (const link of await this.#host.links()) await this.#host.removeLink(link);
    for (const name of await this.#host.namespaces()) await run(["ip", "netns", "del", name]);
    this.#namespaces.clear();
    await this.#hostTurn.run(() => this.#host.removeEverything());
  }

  #facts(vpcId: string): VpcFacts {
    const facts = this.#options.factsOf(vpcId);
    if (facts === undefined) throw new Problem("not-found", `VPC ${vpcId} has no network namespace`);
    return facts;
  }

  #namespace(vpcId: string): Namespace {
    const known = this.#namespaces.get(vpcId);
    if (known !== undefined) return known;
    const shell = new Shell(netnsPath(this.#options.instanceId, vpcId));
    const namespace = {
      shell,
      nft: new BatchQueue((text) => shell.nft(text)),
      ip: new BatchQueue((text) => shell.ipBatch(text)),
    };
    this.#namespaces.set(vpcId, namespace);
    return namespace;
  }

  async #ensureNamespace(vpcId: string): Promise<void> {
    const name = netnsName(this.#options.instanceId, vpcId);
    if ((await this.#host.namespaces()).includes(name)) return;
    await this.#host.rememberNetnsFolder();
    await run(["ip", "netns", "add", name]);
  }

  #syncHost(): Promise<void> {
    return this.#hostTurn.run(() => this.#host.sync(this.#hostFacts()));
  }

  mendHost(): Promise<void> {
    return this.#hostTurn.run(() => this.#host.mend(this.#hostFacts()));
  }

  #hostFacts(): HostFacts {
    const { instanceId, ports, activeVpcs, loopbackResolver } = this.#options;
    return { instanceId, ports, vpcs: activeVpcs(), published: this.#published, loopbackResolver: loopbackResolver() };
  }

  /** Links and addresses as the records say: removes the rest, plugs again what is missing and still has a namespace to be in. */
  async #mendNetns(vpcId: string): Promise<void> {
    const { shell } = this.#namespace(vpcId);
    const plan = planNetns(this.#facts(vpcId), await observe(shell));
    for (const link of plan.deleteLinks) await shell.run(["ip", "link", "del", link]).catch(ignoreMissing);
    await shell.ipBatch(plan.batch.map((line) => `${line}\n`).join(""));
    for (const eni of plan.whole) this.#plugged.set(eni.eniId, placeOf(eni));
    for (const eni of plan.replug) {
      this.#plugged.delete(eni.eniId);
      if (!existsSync(eni.netnsPath ?? "")) continue;
      await this.plug(eni).catch((error: unknown) => {
        this.#options.logger.warn(`cannot plug ${eni.eniId} of ${eni.owner} again: ${messageOf(error)}`, { vpcId });
      });
    }
  }
}

function placeOf(eni: EniRecord): string {
  return eni.local ? "lo" : (eni.netnsPath ?? "");
}

interface IpAddress {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly addr_info: readonly { readonly family?: string; readonly local?: string }[];
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
}

async function observe(shell: Shell): Promise<ObservedNetns> {
  const [links, routes] = await Promise.all([shell.ipJson<IpAddress>("address", "show"), shell.ipJson<IpRoute>("-4", "route", "show")]);
  const lo = links.find((link) => link.ifname === "lo");
  return {
    // Those that the kernel makes by itself in every namespace (`tunl0`, `ifb0`) are nobody's.
    links: links.map((link) => link.ifname).filter((name) => name.startsWith("eni")),
    localAddresses: (lo?.addr_info ?? [])
      .filter((address) => address.family === "inet" && address.local !== undefined && !address.local.startsWith("127."))
      .map((address) => address.local ?? ""),
    hostRoutes: routes
      .filter((route) => route.dev !== undefined && !route.dst.includes("/") && route.dst !== "default")
      .map((route) => ({ address: route.dst, link: route.dev ?? "" })),
  };
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

function ignoreMissingAddress(error: unknown): void {
  if (!/Cannot assign requested address/.test(messageOf(error))) ignoreMissing(error);
}
