/** What an instance has on the host, read from the kernel and the files, not from what the instance says. */
import { access, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { run } from "../../src/host/run.ts";

/** What names an instance on its host. */
export interface InstanceOnHost {
  readonly instanceId: string;
  readonly dataDir: string;
  readonly vpcCidr: string;
}

/**
 * Everything on this host that carries the instance's id, data folder or network, one line each: processes, namespaces, links, routes,
 * nftables tables, iptables rules, mounts, cgroups, the block in /etc/hosts, folders. What other instances have is left out.
 */
export async function tracesOf({ instanceId, dataDir, vpcCidr }: InstanceOnHost): Promise<readonly string[]> {
  const mine = (text: string): boolean => text.includes(instanceId) || text.includes(dataDir);
  const found = await Promise.all([
    lines("process", processes(mine)),
    lines(
      "netns",
      filesIn("/run/netns").then((names) => names.filter(mine)),
    ),
    lines("link", printed(["ip", "-brief", "link"], mine)),
    lines(
      "route",
      printed(["ip", "-4", "route", "show", "table", "all"], (line) => mine(line) || line.includes(vpcCidr)),
    ),
    lines("nft table", printed(["nft", "list", "tables"], mine)),
    lines("iptables rule", printed(["iptables-save"], mine)),
    lines("mount", printed(["cat", "/proc/self/mounts"], mine)),
    lines("cgroup", cgroups("/sys/fs/cgroup", mine, 3)),
    lines("/etc/hosts", printed(["cat", "/etc/hosts"], mine)),
    lines("folder", existing([dataDir, `/run/tidegate/${instanceId}`])),
  ]);
  return found.flat();
}

/** The host's own lines of /etc/hosts: those outside every instance's block. */
export async function ownHostsLines(): Promise<string> {
  return (await readFile("/etc/hosts", "utf8")).replaceAll(/^# tidegate (\w+) begin.*\n[^]*?^# tidegate \1 end\n?/gm, "");
}

/**
 * Removes an instance whole and holds that nothing of it is left, also when the test before has failed.
 * @throws when anything carries its name still; the lines say what.
 */
export async function removeWithoutTrace(instance: (InstanceOnHost & { remove(): Promise<void> }) | undefined): Promise<void> {
  if (instance === undefined) return;
  const before = await tracesOf(instance);
  for (const kind of ["process", "netns", "link", "route", "nft table", "mount", "cgroup", "folder"]) {
    expect(
      before.some((line) => line.startsWith(`${kind}: `)),
      `a running instance has a ${kind}`,
    ).toBe(true);
  }
  await instance.remove();
  expect(await tracesOf(instance)).toEqual([]);
}

async function lines(kind: string, found: Promise<readonly string[]>): Promise<readonly string[]> {
  return (await found).map((line) => `${kind}: ${line}`);
}

async function printed(command: readonly string[], mine: (line: string) => boolean): Promise<readonly string[]> {
  return (await run(command)).stdout.split("\n").filter(mine);
}

/** Of those that name the instance in their arguments, or run in one of its cgroups; this test's own are left out. */
async function processes(mine: (text: string) => boolean): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      const [command, cgroup] = await Promise.all([read("cmdline"), read("cgroup")]);
      // A zombie has no command; its parent, which may be no child of ours, has yet to take note of its end.
      return command !== "" && (mine(command) || mine(cgroup)) ? `${pid} ${command.replaceAll("\0", " ").trim()}` : "";
    }),
  );
  return found.filter((line) => line !== "");
}

async function cgroups(folder: string, mine: (text: string) => boolean, depth: number): Promise<readonly string[]> {
  if (depth === 0) return [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
  const own = folders.filter(mine);
  const deeper = await Promise.all(folders.filter((path) => !mine(path)).map((path) => cgroups(path, mine, depth - 1)));
  return [...own, ...deeper.flat()];
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return found.flat();
}

function filesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}
