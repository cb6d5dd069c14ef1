/** IPv4 arithmetic. Addresses are unsigned 32-bit numbers, blocks are written as AWS does: `172.31.0.0/16`. */
import { Problem } from "../core/problem.ts";

export interface Cidr {
  /** Network address as a number. */
  readonly base: number;
  readonly prefix: number;
  /** How many addresses it holds. */
  readonly size: number;
}

/** `undefined` when `text` is no dotted-quad address. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const bytes = match.slice(1).map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** Parses `a.b.c.d/n`, clearing host bits; `undefined` when it is none. */
export function tryParseCidr(text: string): Cidr | undefined {
  const [address = "", length = "", ...rest] = text.split("/");
  const ip = parseIpv4(address);
  if (ip === undefined || rest.length > 0 || !/^\d{1,2}$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > 32) return undefined;
  const size = 2 ** (32 - prefix);
  return { base: ip - (ip % size), prefix, size };
}

/** @throws Problem `invalid` */
export function parseCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (cidr === undefined) throw new Problem("invalid", `${text} is not an IPv4 block such as 172.31.0.0/16`);
  return cidr;
}

export function formatCidr(cidr: Pick<Cidr, "base" | "prefix">): string {
  return `${formatIpv4(cidr.base)}/${cidr.prefix}`;
}

export function containsAddress(cidr: Cidr, address: number): boolean {
  return address >= cidr.base && address < cidr.base + cidr.size;
}

export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return inner.prefix >= outer.prefix && containsAddress(outer, inner.base);
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return containsCidr(a, b) || containsCidr(b, a);
}

/** The `index`-th block of length `prefix` inside `outer`. */
export function subBlock(outer: Cidr, prefix: number, index: number): Cidr {
  const size = 2 ** (32 - prefix);
  return { base: outer.base + index * size, prefix, size };
}

/** The address `offset` places above the block's first. */
export function addressAt(cidr: string, offset: number): string {
  return formatIpv4(parseCidr(cidr).base + offset);
}

/** `10.0.0.5` as `ip-10-0-0-5`. */
export function hostLabel(address: string): string {
  return `ip-${address.replaceAll(".", "-")}`;
}
