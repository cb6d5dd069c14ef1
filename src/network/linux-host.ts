/** The host's side of the network: veths, routes, our table, kernel settings, other people's firewalls. Remembers what it changes. */
import { existsSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import type { Store } from "../contracts/store.ts";
import type { Logger } from "../core/logger.ts";
import { Problem, messageOf } from "../core/problem.ts";
import { bootId } from "../host/boot-id.ts";
import { run } from "../host/run.ts";
import { NETNS_FOLDER, UPLINK, firewallComment, hostLinkName, hostLinkPrefix, hostTable, netnsPrefix } from "./object-names.ts";
import type { ChangedSetting, FirewallRule, HostFacts } from "./plan-host.ts";
import {
  CHANGED_CHAIN,
  PUBLISHED_CHAIN,
  UNREACHABLE_METRIC,
  planFirewall,
  planHostLink,
  planHostTable,
  readChanged,
  readPublished,
} from "./plan-host.ts";
import { holderOf, usedBlocks } from "./pick-cidr.ts";
import type { HostChange } from "./records.ts";
import { HOST_CHANGES } from "./records.ts";
import type { Shell } from "./shell.ts";
import { isMissing } from "./shell.ts";
import type { PublishedPort } from "../contracts/network.ts";
import { listListeners } from "./host-listeners.ts";
import type { HostPortFacts } from "./host-ports.ts";
import type { ActiveVpc } from "./vpc-facts.ts";

export interface LinuxHostOptions {
  readonly instanceId: string;
  readonly shell: Shell;
  readonly store: Store;
  readonly logger: Logger;
}

interface IpLink {
  readonly ifname: string;
}

interface IpAddress {
  readonly ifname: string;
  readonly addr_info: readonly { readonly family?: string; readonly local?: string }[];
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly type?: string;
}

const NETNS_FOLDER_MADE: ChangedSetting = { path: NETNS_FOLDER, before: "absent" };
const HOST_TABLES = new RegExp(`^table inet (${hostTable("\\w+")})$`, "gm");

export class LinuxHost {
  readonly #options: LinuxHostOptions;

  constructor(options: LinuxHostOptions) {
    this.#options = options;
  }

  /** Names of our veths on the host. */
  async links(): Promise<readonly string[]> {
    const links = await this.#options.shell.ipJson<IpLink>("link", "show", "type", "veth");
    return links.map((link) => link.ifname).filter((name) => name.startsWith(hostLinkPrefix(this.#options.instanceId)));
  }

  /** Names of our namespaces. */
  async namespaces(): Promise<readonly string[]> {
    const { stdout } = await run(["ip", "netns", "list"]);
    const names = stdout.split("\n").map((line) => line.split(" ", 1)[0] ?? "");
    return names.filter((name) => name.startsWith(netnsPrefix(this.#options.instanceId)));
  }

  /** Makes or mends the veth to a VPC and the route into it. */
  async connect(vpc: ActiveVpc, vpcNetns: string): Promise<void> {
    const { instanceId, shell } = this.#options;
    await this.#mustHaveBlock(vpc);
    await this.#remember(`route/${vpc.cidr}`, { type: "route", cidr: vpc.cidr });
    const make = !(await this.links()).includes(hostLinkName(instanceId, vpc.vpcId));
    await shell.ipBatch(planHostLink(instanceId, vpc, { vpcNetns, make, uplink: UPLINK }));
  }

  /**
   * Somebody may have taken the block since, while this instance was down: their route would be replaced, and their addresses cut off.
   * @throws Problem `conflict` for the very same block; a part of it, or one around it, costs only what is shared and is logged.
   */
  async #mustHaveBlock({ vpcId, cidr }: ActiveVpc): Promise<void> {
    const { shell, instanceId, logger } = this.#options;
    const used = await usedBlocks(shell, (link) => link.startsWith(hostLinkPrefix(instanceId)));
    const same = used.find((block) => block.cidr === cidr);
    if (same !== undefined) {
      const holder = `${same.holder}, which has taken it since`;
      throw new Problem("conflict", `the block ${cidr} of ${vpcId} is ${holder}: take it away there, or start another instance (--data-dir)`);
    }
    const holder = holderOf(cidr, used);
    if (holder === undefined) return;
    logger.warn(`${holder.cidr}, ${holder.holder}, overlaps ${cidr} of ${vpcId}: where both have an address, only the more specific answers`);
  }

  async removeLink(link: string): Promise<void> {
    await this.#options.shell.run(["ip", "link", "del", link]).catch(ignoreMissing);
  }

  /** Rules, kernel settings and firewalls for the VPCs that there are. */
  async sync(facts: HostFacts): Promise<void> {
    const { shell } = this.#options;
    if (facts.vpcs.length === 0) return shell.nft(planHostTable(facts));
    const forwarding = await this.#rememberForwarding(facts.published ?? []);
    // Others must find in our table how a setting was before they can find it changed.
    await shell.nft(planHostTable({ ...facts, changed: await this.#changedSettings() }));
    await this.#setSysctls(facts, forwarding);
    await this.#openFirewalls();
  }

  /** After somebody has changed the host's rules or way out: ours again, where theirs have replaced or overruled them. Changes nothing that is right. */
  async mend(facts: HostFacts): Promise<void> {
    if (facts.vpcs.length === 0) return;
    const { shell, instanceId, logger } = this.#options;
    const { code } = await shell.run(["nft", "list", "table", "inet", hostTable(instanceId)], { okCodes: [0, 1] });
    const forwarding = await this.#forwardingToOthers(facts.published ?? []);
    if (code === 0 && [...forwarding.values()].every((value) => value === "1")) return this.#openFirewalls();
    if (code !== 0) logger.warn("the host's nftables rules were flushed, Tidegate's with them: they are set again");
    await this.sync(facts);
  }

  /** The settings by which the links forward that lead to others, as they are. */
  async #forwardingToOthers(published: readonly PublishedPort[]): Promise<ReadonlyMap<string, string>> {
    const { shell } = this.#options;
    const routes = await shell.ipJson<IpRoute>("-4", "route", "show", "default");
    const egress = routes.flatMap((route) => route.dev ?? []);
    const links = [...new Set([...egress, ...(await this.#entrances(published))])].filter((link) => !link.startsWith("tg"));
    return shell.readSysctls(links.map((link) => `ipv4/conf/${link}/forwarding`));
  }

  /** Remembers how they were; answers their paths. */
  async #rememberForwarding(published: readonly PublishedPort[]): Promise<readonly string[]> {
    const values = await this.#forwardingToOthers(published);
    const others = [...values.values()].includes("1") ? await this.#changedByOthers() : [];
    for (const [path, value] of values) {
      // One that another instance has changed already goes back to what it was when the last instance is removed, which may be this.
      const before = others.find((setting) => setting.path === path)?.before;
      await this.#rememberSysctl(path, value === "1" && before !== undefined ? before : value);
    }
    return [...values.keys()];
  }

  /** Once in each boot: after a reboot the setting is again what the host makes it, which may be something else than last time. */
  async #rememberSysctl(path: string, before: string): Promise<void> {
    const { store, instanceId } = this.#options;
    const boot = bootId();
    const key = `${instanceId}/sysctl/${path}`;
    const known = (await store.get(HOST_CHANGES, key))?.value;
    if (known?.type === "sysctl" && (known.bootId ?? boot) === boot) return;
    // Where the host's own setting is what is needed, nothing is changed.
    if (known === undefined && before === "1") return;
    await store.transact([{ op: "put", collection: HOST_CHANGES, key, value: { type: "sysctl", path, before, bootId: boot } }]);
  }

  /** The links by which clients of published ports come. */
  async #entrances(published: readonly PublishedPort[]): Promise<readonly string[]> {
    if (published.length === 0) return [];
    const all = published.some(({ address }) => address === "0.0.0.0");
    const wanted = new Set(published.map(({ address }) => address));
    const found = await this.#addresses();
    return found.filter(({ link, address }) => link !== "lo" && (all || wanted.has(address))).map(({ link }) => link);
  }

  async #addresses(): Promise<readonly { readonly link: string; readonly address: string }[]> {
    const links = await this.#options.shell.ipJson<IpAddress>("-4", "address", "show");
    return links.flatMap(({ ifname, addr_info: found }) =>
      found.flatMap(({ family, local }) => (family === "inet" && local !== undefined ? [{ link: ifname, address: local }] : [])),
    );
  }

  /** The ports that an earlier process has published and the kernel carries still; none after a reboot. */
  async published(): Promise<readonly PublishedPort[]> {
    return this.#publishedBy(hostTable(this.#options.instanceId));
  }

  /** What may stand in the way of a port. */
  async portFacts(): Promise<Omit<HostPortFacts, "open">> {
    const [listeners, addresses, tables] = await Promise.all([listListeners(this.#options.shell), this.#addresses(), this.#tablesOfOthers()]);
    const others = await Promise.all(
      tables.map(async (table) => (await this.#publishedBy(table)).map((port) => ({ ...port, instanceId: table.slice(hostTable("").length) }))),
    );
    return { listeners, addresses: addresses.map(({ address }) => address), others: others.flat() };
  }

  async #publishedBy(table: string): Promise<readonly PublishedPort[]> {
    const listing = this.#options.shell.run(["nft", "list", "chain", "inet", table, PUBLISHED_CHAIN]);
    // No table yet, one that goes at this moment, or one made by an earlier version.
    return readPublished((await listing.catch(() => ({ stdout: "" }))).stdout);
  }

  async #changedSettings(): Promise<readonly ChangedSetting[]> {
    const changes = await this.#options.store.list(HOST_CHANGES);
    return changes.flatMap(({ value }) => (value.type === "sysctl" ? [value] : value.type === "netns-folder" ? [NETNS_FOLDER_MADE] : []));
  }

  /** What the other instances on this host say in their tables. */
  async #changedByOthers(): Promise<readonly ChangedSetting[]> {
    const { shell } = this.#options;
    const tables = await this.#tablesOfOthers();
    // One that goes at this moment, or was made by an earlier version, says nothing.
    const chains = tables.map((table) => shell.run(["nft", "list", "chain", "inet", table, CHANGED_CHAIN]).catch(() => ({ stdout: "" })));
    return (await Promise.all(chains)).flatMap((chain) => readChanged(chain.stdout));
  }

  async #tablesOfOthers(): Promise<readonly string[]> {
    const { shell, instanceId } = this.#options;
    const { stdout } = await shell.run(["nft", "list", "tables", "inet"]);
    return [...stdout.matchAll(HOST_TABLES)].map(([, table = ""]) => table).filter((table) => table !== hostTable(instanceId));
  }

  /** Forwarding only on our links and on those by which the host reaches others; never host-wide. */
  async #setSysctls(facts: HostFacts, forwarding: readonly string[]): Promise<void> {
    const ours = facts.vpcs.map((vpc) => hostLinkName(this.#options.instanceId, vpc.vpcId));
    const leadsToLoopback = facts.ports.hostPorts.length > 0 || facts.loopbackResolver !== undefined;
    // A client on the host that asks loopback sends by our link too.
    const loopback = leadsToLoopback || (facts.published ?? []).length > 0 ? "1" : "0";
    await this.#options.shell.writeSysctls({
      ...Object.fromEntries(
        ours.flatMap((link) => [
          [`ipv4/conf/${link}/forwarding`, "1"],
          [`ipv4/conf/${link}/route_localnet`, loopback],
        ]),
      ),
      ...Object.fromEntries(forwarding.map((path) => [path, "1"])),
    });
  }

  /** Docker's and ufw's chains drop what is forwarded, whatever our table accepts: lets ours through there. */
  async #openFirewalls(): Promise<void> {
    for (const iptables of await this.#firewalls()) {
      const chains = await this.#chainsOf(iptables);
      for (const rule of planFirewall(this.#options.instanceId, chains).toReversed()) await this.#insert(iptables, rule);
    }
  }

  async #insert(iptables: string, rule: FirewallRule): Promise<void> {
    const { shell, logger } = this.#options;
    const there = await shell.run([iptables, "-w", "-C", rule.chain, ...rule.rule], { okCodes: [0, 1] });
    if (there.code === 0) return;
    await shell.run([iptables, "-w", "-I", rule.chain, "1", ...rule.rule]).catch((error: unknown) => {
      logger.warn(`the host's firewall may drop the tasks' packets: ${messageOf(error)}`);
    });
  }

  /** The iptables programs whose filter table is in use. Asking iptables itself would make the table. */
  async #firewalls(): Promise<readonly string[]> {
    const { shell } = this.#options;
    const tables = await shell.run(["nft", "list", "tables", "ip"]).catch(() => ({ stdout: "" }));
    const legacy = await shell.run(["sh", "-c", "cat /proc/net/ip_tables_names 2>/dev/null || true"]);
    const found = [
      ...(/^table ip filter$/m.test(tables.stdout) ? ["iptables-nft"] : []),
      ...(/^filter$/m.test(legacy.stdout) ? ["iptables-legacy"] : []),
    ];
    const present = await Promise.all(found.map(async (program) => ((await isPresent(program)) ? [program] : [])));
    return present.flat();
  }

  /** Chains whose policy drops, or that have rules. */
  async #chainsOf(iptables: string): Promise<readonly string[]> {
    const { stdout } = await this.#options.shell.run([iptables, "-w", "-S"]);
    const lines = stdout.split("\n").map((line) => line.split(" "));
    const own = lines.filter(([verb]) => verb === "-N").map(([, chain = ""]) => chain);
    const dropping = lines.filter(([verb, , policy]) => verb === "-P" && policy === "DROP").map(([, chain = ""]) => chain);
    const ruled = lines.filter(([verb]) => verb === "-A").map(([, chain = ""]) => chain);
    return [...new Set([...own, ...dropping, ...ruled])];
  }

  async #closeFirewalls(): Promise<void> {
    const comment = firewallComment(this.#options.instanceId);
    for (const iptables of await this.#firewalls()) {
      const { stdout } = await this.#options.shell.run([iptables, "-w", "-S"]);
      const ours = stdout.split("\n").filter((line) => line.startsWith("-A ") && line.split(/[ "]/).includes(comment));
      for (const line of ours) {
        const [, ...rule] = line.replaceAll('"', "").split(" ");
        await this.#options.shell.run([iptables, "-w", "-D", ...rule]);
      }
    }
  }

  /** Stores how something was, once, before it is changed. */
  async #remember(key: string, change: HostChange): Promise<void> {
    const { store, instanceId } = this.#options;
    const scoped = `${instanceId}/${key}`;
    if ((await store.get(HOST_CHANGES, scoped)) !== undefined) return;
    await store.transact([{ op: "put", collection: HOST_CHANGES, key: scoped, value: change }]);
  }

  /** To be called before the first namespace is made. Where another instance has made the folder, the last of both removes it. */
  async rememberNetnsFolder(): Promise<void> {
    const made = !existsSync(NETNS_FOLDER) || (await this.#changedByOthers()).some(({ path }) => path === NETNS_FOLDER);
    if (made) await this.#remember("netns-folder", { type: "netns-folder" });
  }

  /** Removes the routes of blocks that no VPC has any more. */
  async forgetRoutes(keep: ReadonlySet<string>): Promise<void> {
    const { store } = this.#options;
    for (const { key, value } of await store.list(HOST_CHANGES)) {
      if (value.type !== "route" || keep.has(value.cidr)) continue;
      await this.#undo(value);
      await store.transact([{ op: "delete", collection: HOST_CHANGES, key }]);
    }
  }

  /** Undoes everything on the host. */
  async removeEverything(): Promise<void> {
    const { store, shell, instanceId } = this.#options;
    await this.#closeFirewalls();
    await shell.nft(`table inet ${hostTable(instanceId)} {}\ndelete table inet ${hostTable(instanceId)}\n`);
    for (const { key, value } of await store.list(HOST_CHANGES)) {
      await this.#undo(value);
      await store.transact([{ op: "delete", collection: HOST_CHANGES, key }]);
    }
  }

  async #undo(change: HostChange): Promise<void> {
    const { shell } = this.#options;
    switch (change.type) {
      case "sysctl":
        // Our own table is gone: the last instance that needs it changed finds no other's, and puts it back.
        if ((await this.#changedByOthers()).some((setting) => setting.path === change.path)) return;
        // Somebody has switched forwarding on for the whole host since (Docker does), and relies on it.
        if (change.path.endsWith("/forwarding") && (await shell.readSysctls(["ipv4/ip_forward"])).get("ipv4/ip_forward") === "1") return;
        return shell.writeSysctls({ [change.path]: change.before });
      case "route":
        await shell.run(["ip", "route", "del", "unreachable", change.cidr, "metric", String(UNREACHABLE_METRIC)]).catch(ignoreMissing);
        return;
      case "netns-folder":
        // Both fail, rightly, while anybody's namespace is in it.
        await run(["umount", NETNS_FOLDER]).catch(() => {});
        await rmdir(NETNS_FOLDER).catch(() => {});
        return;
    }
  }
}

async function isPresent(program: string): Promise<boolean> {
  return run([program, "--version"]).then(
    () => true,
    () => false,
  );
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
