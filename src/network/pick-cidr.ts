/** Blocks of addresses that nobody on this host uses. */
import { Problem } from "../core/problem.ts";
import type { Cidr } from "./cidr.ts";
import { formatCidr, overlaps, subBlock, tryParseCidr } from "./cidr.ts";
import { Shell } from "./shell.ts";

export interface UsedBlock {
  readonly cidr: string;
  /** Who has it, in words: `route via eth0`, `address of docker0`. */
  readonly holder: string;
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly type?: string;
  readonly metric?: number;
}

interface IpAddress {
  readonly ifname: string;
  readonly addr_info: readonly { readonly family: string; readonly local: string; readonly prefixlen: number }[];
}

/** What the host's routes and addresses cover, without default routes and links for which `isOurs` holds. */
export async function usedBlocks(shell: Shell, isOurs: (link: string) => boolean): Promise<readonly UsedBlock[]> {
  const [routes, links] = await Promise.all([shell.ipJson<IpRoute>("-4", "route", "show"), shell.ipJson<IpAddress>("-4", "address", "show")]);
  const fromRoutes = routes.flatMap((route) => {
    const cidr = route.dst.includes("/") ? route.dst : `${route.dst}/32`;
    if (route.dst === "default" || route.dst === "0.0.0.0/0" || route.type !== undefined || isOurs(route.dev ?? "")) return [];
    return [{ cidr, holder: `a route by ${route.dev ?? "the host"}` }];
  });
  const fromLinks = links.flatMap((link) =>
    isOurs(link.ifname)
      ? []
      : link.addr_info
          .filter((address) => address.family === "inet")
          .map((address) => ({ cidr: `${address.local}/${address.prefixlen}`, holder: `the address of ${link.ifname}` })),
  );
  return [...fromRoutes, ...fromLinks];
}

/** The block in `used` that `cidr` overlaps. */
export function holderOf(cidr: string, used: readonly UsedBlock[]): UsedBlock | undefined {
  const wanted = tryParseCidr(cidr);
  if (wanted === undefined) return undefined;
  return used.find((block) => {
    const other = tryParseCidr(block.cidr);
    return other !== undefined && overlaps(wanted, other);
  });
}

/** AWS's block for default VPCs first, then the rest of 172.16/12, then 10/8 from its end. */
function candidates(): Cidr[] {
  const block172 = { base: 172 * 2 ** 24 + 16 * 2 ** 16, prefix: 12, size: 2 ** 20 };
  const block10 = { base: 10 * 2 ** 24, prefix: 8, size: 2 ** 24 };
  const down = (outer: Cidr, count: number): Cidr[] => Array.from({ length: count }, (_, index) => subBlock(outer, 16, count - 1 - index));
  return [...down(block172, 16), ...down(block10, 256)];
}

/** The first /16 that overlaps none of `used`; `undefined` when there is none. */
export function firstFreeCidr(used: readonly UsedBlock[]): string | undefined {
  return candidates()
    .map(formatCidr)
    .find((cidr) => holderOf(cidr, used) === undefined);
}

/**
 * The block for an instance's default VPC: `wanted` if nobody has it, else a free /16, 172.31.0.0/16 where it is free; by the host's
 * routes and addresses, and `taken`, what stopped instances have.
 * @throws Problem `conflict` when `wanted` is taken, with who has it and a free one; `exhausted` when there is no free /16.
 */
export async function chooseCidr(wanted: string | undefined, taken: readonly UsedBlock[]): Promise<string> {
  const used = [...taken, ...(await usedBlocks(new Shell(), () => false))];
  if (wanted !== undefined) return mustBeFree(wanted, used);
  const free = firstFreeCidr(used);
  if (free !== undefined) return free;
  throw new Problem("exhausted", "no /16 in 172.16.0.0/12 and 10.0.0.0/8 is free on this host: say a block with --vpc-cidr");
}

/** @throws Problem `conflict` when any of `used` overlaps it, with who has it and a free block. */
export function mustBeFree(cidr: string, used: readonly UsedBlock[]): string {
  const holder = holderOf(cidr, used);
  if (holder === undefined) return cidr;
  const hint = firstFreeCidr(used);
  throw new Problem(
    "conflict",
    `the block ${cidr} overlaps ${holder.cidr}, ${holder.holder}${hint === undefined ? "" : `; ${hint} is free (--vpc-cidr ${hint})`}`,
  );
}
