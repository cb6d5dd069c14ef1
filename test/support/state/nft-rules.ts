import { run } from "../../../src/host/run.ts";
import { VPC_TABLE } from "../../../src/network/object-names.ts";

interface NftObject {
  readonly set?: { readonly name: string; readonly elem?: readonly string[] };
  readonly chain?: { readonly name: string; readonly hook?: string; readonly prio?: number; readonly policy?: string };
  readonly rule?: { readonly chain: string; readonly expr: readonly unknown[]; readonly comment?: string };
}

/** Elements that packets add by themselves. */
const DYNAMIC_SETS = new Set(["opened"]);

/**
 * Sets with their elements, chains, and rules in the order of their chain, one line each, of the VPCs' table: as it is in a namespace, or as
 * the kernel would list `text` if it were loaded.
 */
export async function nftList(source: { readonly netns: string } | { readonly text: string }): Promise<readonly string[]> {
  const list = `nft -j list table inet ${VPC_TABLE}`;
  const { stdout } =
    "netns" in source
      ? await run(["ip", "netns", "exec", source.netns, ...list.split(" ")])
      : await run(["unshare", "--net", "sh", "-c", `nft -f - && ${list}`], { stdin: source.text });
  const { nftables } = JSON.parse(stdout) as { readonly nftables: readonly NftObject[] };
  const numbers = new Map<string, number>();
  return nftables.flatMap(({ set, chain, rule }) => {
    if (set !== undefined) return [`set ${set.name} { ${(DYNAMIC_SETS.has(set.name) ? [] : [...(set.elem ?? [])]).toSorted().join(" ")} }`];
    if (chain !== undefined) return [`chain ${chain.name} ${chain.hook ?? ""} ${chain.prio ?? ""} ${chain.policy ?? ""}`.trimEnd()];
    if (rule === undefined) return [];
    const number = numbers.get(rule.chain) ?? 0;
    numbers.set(rule.chain, number + 1);
    return [`rule ${rule.chain} ${number}: ${JSON.stringify(rule.expr)} ${rule.comment ?? ""}`.trimEnd()];
  });
}
