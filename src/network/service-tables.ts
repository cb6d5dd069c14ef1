import { existsSync } from "node:fs";
import type { VirtualAddresses } from "../contracts/network.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf } from "../core/problem.ts";
import { planServices, planServicesChange, SERVICES_TABLE, type ServicesRuleset, servicesRuleset, versionChain } from "./plan-services.ts";
import { Shell } from "./shell.ts";

/** Applies standard input unless the table is of this version already. */
const APPLY_UNLESS_THERE = `nft list chain ip ${SERVICES_TABLE} "$0" >/dev/null 2>&1 || exec nft -f -`;

/** Where a table is, to this process's knowledge. */
interface Known {
  readonly netnsPath: string;
  readonly ruleset: ServicesRuleset;
}

/** Keeps the tables of virtual addresses in interfaces' namespaces. What is there of an earlier process is taken over where it is the same. */
export class ServiceTables {
  readonly #logger: Logger;
  readonly #known = new Map<string, Known>();
  readonly #turns = new Map<string, Promise<void>>();
  /** Callers give the same addresses for many interfaces: they are made into text once. */
  readonly #rulesets = new WeakMap<VirtualAddresses, ServicesRuleset>();
  readonly #changes = new WeakMap<ServicesRuleset, { readonly to: ServicesRuleset; readonly text: string }>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** One at a time for an interface; nothing happens in a namespace that is gone. */
  apply(attachmentId: string, netnsPath: string, addresses: VirtualAddresses): Promise<void> {
    const before = this.#turns.get(attachmentId) ?? Promise.resolve();
    const turn = before.catch(() => {}).then(() => this.#apply(attachmentId, netnsPath, addresses));
    this.#turns.set(attachmentId, turn);
    const end = (): void => {
      if (this.#turns.get(attachmentId) === turn) this.#turns.delete(attachmentId);
    };
    turn.then(end, end);
    return turn;
  }

  forget(attachmentId: string): void {
    this.#known.delete(attachmentId);
  }

  async #apply(attachmentId: string, netnsPath: string, addresses: VirtualAddresses): Promise<void> {
    const ruleset = this.#rulesetOf(addresses);
    const known = this.#known.get(attachmentId);
    const isSame = known?.netnsPath === netnsPath && known.ruleset.cidr === ruleset.cidr;
    if (isSame && known.ruleset.version === ruleset.version) return;
    const shell = new Shell(netnsPath);
    try {
      if (isSame) await this.#change(shell, known.ruleset, ruleset);
      else await shell.run(["sh", "-c", APPLY_UNLESS_THERE, versionChain(ruleset)], { stdin: planServices(ruleset) });
      this.#known.set(attachmentId, { netnsPath, ruleset });
    } catch (error) {
      this.#known.delete(attachmentId);
      if (existsSync(netnsPath)) throw error;
    }
  }

  async #change(shell: Shell, from: ServicesRuleset, to: ServicesRuleset): Promise<void> {
    try {
      await shell.nft(this.#changeText(from, to));
    } catch (error) {
      if (shell.netnsPath !== undefined && !existsSync(shell.netnsPath)) throw error;
      this.#logger.warn(`a table of services is not as it was left, and is made anew: ${messageOf(error)}`);
      await shell.nft(planServices(to));
    }
  }

  #rulesetOf(addresses: VirtualAddresses): ServicesRuleset {
    const known = this.#rulesets.get(addresses);
    if (known !== undefined) return known;
    const made = servicesRuleset(addresses);
    this.#rulesets.set(addresses, made);
    return made;
  }

  #changeText(from: ServicesRuleset, to: ServicesRuleset): string {
    const known = this.#changes.get(from);
    if (known?.to === to) return known.text;
    const text = planServicesChange(from, to);
    this.#changes.set(from, { to, text });
    return text;
  }
}
