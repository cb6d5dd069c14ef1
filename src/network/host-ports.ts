/** Ports of the host that lead into VPCs: what stands in the way of each, and which may be opened. */
import type { PublishOutcome, PublishedPort } from "../contracts/network.ts";
import type { HostListener } from "../host/listeners.ts";
import { listenerInTheWay } from "../host/listeners.ts";

/** What is so on the host at one moment. */
export interface HostPortFacts {
  readonly listeners: readonly HostListener[];
  /** The host's own addresses. */
  readonly addresses: readonly string[];
  /** What this instance has open. */
  readonly open: readonly PublishedPort[];
  /** What other instances on this host have open, each with its name. */
  readonly others: readonly (Pick<PublishedPort, "address" | "port"> & { readonly instanceId: string })[];
}

/**
 * What becomes of each wanted port. One that is open stays so, also where somebody has begun to listen there since: its clients are ours.
 * Pure but for `describe`, which names the process that has a socket.
 */
export function planPorts(wanted: readonly PublishedPort[], facts: HostPortFacts, describe: (inode: string) => string): readonly PublishOutcome[] {
  return wanted.map((port) => {
    const name = `${port.address}:${port.port}`;
    if (port.address !== "0.0.0.0" && !port.address.startsWith("127.") && !facts.addresses.includes(port.address)) {
      return { open: false, problem: `${port.address} is no address of this host now` };
    }
    const other = facts.others.find((candidate) => candidate.port === port.port && meet(candidate.address, port.address));
    const isOpen = facts.open.some((candidate) => candidate.address === port.address && candidate.port === port.port);
    if (other !== undefined && !isOpen) {
      return { open: false, problem: `Tidegate instance ${other.instanceId} publishes ${other.address}:${other.port} on this host` };
    }
    const listener = listenerInTheWay(facts.listeners, port);
    if (listener === undefined) return { open: true };
    const holder = describe(listener.inode);
    return isOpen
      ? { open: true, problem: `${holder} listens at ${listener.address}:${listener.port} too, and gets nothing: ${name} was published before` }
      : { open: false, problem: `${holder} listens at ${listener.address}:${listener.port}: stop it, or publish another address or port` };
  });
}

function meet(a: string, b: string): boolean {
  return a === b || a === "0.0.0.0" || b === "0.0.0.0";
}
