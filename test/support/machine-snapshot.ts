/** All of a machine that a guest on it could leave changed, in lines that compare. */
import type { Machine } from "./machine.ts";

/**
 * Rules, kernel settings, links, addresses, routes, mounts, cgroups, processes, and files, the smaller ones with their content. Counters, pids, link-local
 * addresses and what lies under a path of `except` are left out.
 */
export async function snapshotOf(machine: Machine, { except = [] }: { readonly except?: readonly string[] } = {}): Promise<readonly string[]> {
  const { stdout } = await machine.exec(["bash", "-ec", LOOK], { timeoutMs: 60_000 });
  return stdout.split("\n").filter((line) => line !== "" && !except.some((path) => line.includes(path)));
}

const LOOK = `
say() { sed "s|^|$1: |"; }
nft --stateless list ruleset | say nft
for table in $(cat /proc/net/ip_tables_names 2>/dev/null); do iptables-legacy-save --table $table | grep -v '^#' | sed 's/\\[.*//' | say "legacy $table"; done
sysctl --all --pattern '^net\\.' 2>/dev/null | grep -v nf_conntrack_count | sort | say sysctl
ip -oneline link | sed 's/^[0-9]*: //; s/ state [A-Z]* / /; s/NO-CARRIER,//; s/@if[0-9]*//; s/\\(uplink\\|eth0\\).*mtu/\\1 mtu/; s/link-netnsid.*//; s/link\\/ether.*//' | sort | say link
ip -oneline -4 address | sed 's/^[0-9]*: //' | sort | say address
ip route show table all | grep -v 'fe80::\\|ff00::\\|pref medium\\|^unreachable default dev lo' | sort | say route
ip rule | say rule
findmnt --noheadings --raw --output TARGET,FSTYPE | sort | say mount
find /sys/fs/cgroup -type d | sort | say cgroup
ps -eo args= | grep -v '^ps \\|^bash -ec\\|^sort\\|^sed \\|^grep \\|^say\\|^setpriv\\|defunct' | sort | say process
find /etc /opt /run /var/lib -xdev \\( -type d -printf '%p %M %u:%g\\n' -o -type l -printf '%p -> %l\\n' -o ! -type f -printf '%p %M %u:%g\\n' \\) | sort | say file
find /etc /opt /run /var/lib -xdev -type f -printf '%p %M %u:%g %s\\n' | sort | say file
find /etc /opt /run /var/lib -xdev -type f -size -1024k -print0 | sort -z | xargs -0 sha256sum | say content
`;
