/** Who listens on the host's TCP ports. */
import { readdirSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { readProc } from "./process.ts";

export interface HostListener {
  /** IPv4; `0.0.0.0` for all, and for IPv6's all, which takes IPv4 too. */
  readonly address: string;
  readonly port: number;
  /** Of the socket; tells the process. */
  readonly inode: string;
}

const LISTEN = "0A";
const ANY_IPV6 = "0".repeat(32);
/** `::ffff:` as /proc writes it: four words in the machine's byte order. */
const MAPPED_IPV4 = "0000000000000000FFFF0000";

/** Reads /proc/net/tcp and /proc/net/tcp6, one after the other. Those that take IPv6 alone are left out. Pure. */
export function parseListeners(text: string): readonly HostListener[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [hexAddress = "", hexPort = ""] = (fields[1] ?? "").split(":");
    const address = addressOf(hexAddress);
    if (fields[3] !== LISTEN || address === undefined) return [];
    return [{ address, port: Number.parseInt(hexPort, 16), inode: fields[9] ?? "" }];
  });
}

function addressOf(hex: string): string | undefined {
  if (hex === ANY_IPV6) return "0.0.0.0";
  const ipv4 = hex.startsWith(MAPPED_IPV4) ? hex.slice(MAPPED_IPV4.length) : hex;
  if (ipv4.length !== 8) return undefined;
  // Little-endian on every machine that Node is built for.
  return (ipv4.match(/../g) ?? [])
    .toReversed()
    .map((byte) => Number.parseInt(byte, 16))
    .join(".");
}

/** The listener that would lose its clients to a port published at `address`. Those on link-local addresses are Tidegate's own. Pure. */
export function listenerInTheWay(
  listeners: readonly HostListener[],
  wanted: { readonly address: string; readonly port: number },
): HostListener | undefined {
  return listeners.find(({ address, port }) => {
    if (port !== wanted.port || address.startsWith("169.254.")) return false;
    return address === "0.0.0.0" || wanted.address === "0.0.0.0" || address === wanted.address;
  });
}

/** Who listens on a TCP port of this host, at `address` or in its way, in words; `undefined` when nobody does. */
export function holderOfPort(address: string, port: number): string | undefined {
  const text = ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readProc(path) ?? "").join("");
  const found = parseListeners(text).find((listener) => listener.port === port && [address, "0.0.0.0"].includes(listener.address));
  return found === undefined ? undefined : describeHolder(found.inode);
}

/** The process that has a socket, in words: `nginx (pid 123)`. Not with its arguments, which may hold secrets. */
export function describeHolder(inode: string): string {
  const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && hasSocket(name, inode));
  if (pid === undefined) return "another program";
  if (Number(pid) === process.pid) return "Tidegate itself, with its API";
  const program = basename(linkOf(`/proc/${pid}/exe`)?.replace(/ \(deleted\)$/, "") ?? "") || readProc(`/proc/${pid}/comm`)?.trim() || "a program";
  return `${program} (pid ${pid})`;
}

function hasSocket(pid: string, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((descriptor) => linkOf(`${folder}/${descriptor}`) === `socket:[${inode}]`);
  } catch {
    return false;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
