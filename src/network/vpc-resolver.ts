/** One VPC's name server: unbound, run inside the VPC's namespace, told of names live. */
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DaemonSpec, DaemonSupervisor } from "../contracts/daemon.ts";
import type { Logger } from "../core/logger.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";
import { shortId } from "./object-names.ts";
import type { NameTable } from "./plan-dns.ts";
import { parseLocalData, planNameChanges, planResolverConfig } from "./plan-dns.ts";
import { Serial } from "./shell.ts";
import { unboundControl } from "./unbound-control.ts";
import type { ActiveVpc } from "./vpc-facts.ts";

export interface VpcResolverOptions {
  readonly vpc: ActiveVpc;
  readonly netnsPath: string;
  readonly runDir: string;
  readonly logDir: string;
  readonly supervisor: DaemonSupervisor;
  readonly logger: Logger;
  /** What it should answer, at this moment. */
  readonly names: () => NameTable;
  /** Where it asks for all other names, at this moment. */
  readonly upstreams: () => readonly string[];
}

/** How often a resolver that dies between its start and its names is waited for. */
const TRIES = 3;

export class VpcResolver {
  readonly #options: VpcResolverOptions;
  readonly #turn = new Serial();
  /** What the daemon is known to answer; unknown before the first talk and after a restart. */
  #known: NameTable | undefined;
  #pending: Promise<void> | undefined;

  constructor(options: VpcResolverOptions) {
    this.#options = options;
  }

  get daemonName(): string {
    return resolverDaemonName(this.#options.vpc.vpcId);
  }

  get #socket(): string {
    return join(this.#options.runDir, `dns-${shortId(this.#options.vpc.vpcId)}.sock`);
  }

  /** Starts or adopts the daemon and tells it all names. Idempotent. */
  async ensure(): Promise<void> {
    const { vpc, netnsPath, runDir, logDir, supervisor } = this.#options;
    const user = /^unbound:/m.test((await readTextIfAny("/etc/passwd")) ?? "") ? "unbound" : undefined;
    await mkdir(logDir, { recursive: true });
    await mkdir(runDir, { recursive: true });
    const path = await this.#writeConfig(planResolverConfig({ vpc, controlSocket: this.#socket, user }));
    const spec: DaemonSpec = {
      name: this.daemonName,
      command: ["/usr/sbin/unbound", "-d", "-p", "-c", path],
      netnsPath,
      logFile: join(logDir, `${this.daemonName}.log`),
      ready: () =>
        unboundControl(this.#socket, "status").then(
          () => true,
          () => false,
        ),
      readyTimeoutMs: 10_000,
      onRestart: () => this.#applyAll(),
    };
    for (let left = TRIES; ; left--) {
      await supervisor.ensure(spec);
      try {
        return await this.#applyAll();
      } catch (error) {
        if (left === 0 || !isProblem(error, "unavailable")) throw error;
        this.#options.logger.warn(`the resolver of ${vpc.vpcId} went before it had its names, waiting for it: ${messageOf(error)}`);
      }
    }
  }

  async #applyAll(): Promise<void> {
    this.#known = undefined;
    await this.refreshUpstreams();
    await this.sync();
  }

  /** Brings the daemon's names to what they should be. Calls while one waits share its work. */
  sync(): Promise<void> {
    this.#pending ??= this.#turn.run(async () => {
      this.#pending = undefined;
      await this.#apply();
    });
    return this.#pending;
  }

  /** Like sync, for those who need not wait: a failure is logged, and mended at the daemon's restart. */
  syncSoon(): void {
    this.sync().catch((error: unknown) => this.#options.logger.warn(`names of ${this.#options.vpc.vpcId} not updated: ${messageOf(error)}`));
  }

  async #apply(): Promise<void> {
    const wanted = this.#options.names();
    const known = this.#known ?? parseLocalData(await unboundControl(this.#socket, "list_local_data"));
    this.#known = undefined;
    const { forget, add } = planNameChanges(known, wanted);
    if (forget.length > 0) await unboundControl(this.#socket, "local_datas_remove", forget);
    if (add.length > 0) await unboundControl(this.#socket, "local_datas", add);
    this.#known = wanted;
  }

  /** After the host's own resolvers changed. */
  async refreshUpstreams(): Promise<void> {
    const upstreams = this.#options.upstreams();
    // With nobody to ask it must not go to the root servers by itself.
    const zone = upstreams.length === 0 ? "local_zone . refuse" : "local_zone_remove .";
    await unboundControl(this.#socket, zone);
    if (upstreams.length > 0) await unboundControl(this.#socket, `forward_add . ${upstreams.join(" ")}`);
    await unboundControl(this.#socket, "flush_negative");
  }

  async stop(): Promise<void> {
    await this.#options.supervisor.stop(this.daemonName);
    await rm(this.#socket, { force: true });
    for (const old of await this.#configFiles()) await rm(old, { force: true });
  }

  /** The name has the content's hash, so that a changed configuration is a changed command, which replaces the running daemon. */
  async #writeConfig(config: string): Promise<string> {
    const hash = createHash("sha256").update(config).digest("hex").slice(0, 8);
    const path = join(this.#options.runDir, `${this.daemonName}-${hash}.conf`);
    await writeFileAtomically(path, config);
    await chmod(path, 0o644);
    for (const old of await this.#configFiles()) if (old !== path) await rm(old, { force: true });
    return path;
  }

  async #configFiles(): Promise<string[]> {
    const files = await readdir(this.#options.runDir).catch(() => []);
    return files.filter((file) => file.startsWith(`${this.daemonName}-`) && file.endsWith(".conf")).map((file) => join(this.#options.runDir, file));
  }
}

export const RESOLVER_DAEMON_PREFIX = "dns-";

export function resolverDaemonName(vpcId: string): string {
  return `${RESOLVER_DAEMON_PREFIX}${shortId(vpcId)}`;
}
