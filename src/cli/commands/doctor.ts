import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { findBuilder } from "../../builder/find-builder.ts";
import { DEFAULT_CACHE_FOLDER, describeSource, lookForKubernetes } from "../../builder/kubernetes/look.ts";
import { mayLowerOomScore } from "../../host/oom-score.ts";
import { run as runProgram } from "../../host/run.ts";
import type { Command } from "../command.ts";

interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** The command that mends it. */
  readonly mend?: string;
}

const PROGRAMS: readonly (readonly [command: string, versionFlag: string, debianPackage: string])[] = [
  ["containerd", "--version", "containerd"],
  ["runc", "--version", "runc"],
  ["haproxy", "-v", "haproxy"],
  ["nft", "--version", "nftables"],
  ["ip", "-Version", "iproute2"],
  ["unbound", "-V", "unbound"],
  ["catatonit", "--version", "catatonit"],
  ["iptables", "--version", "iptables"],
  ["nsenter", "--version", "util-linux"],
  ["flock", "--version", "util-linux"],
];

const OPTIONAL: readonly (readonly [command: string, versionFlag: string, debianPackage: string, why: string])[] = [
  ["mmdebstrap", "--version", "mmdebstrap", "only `images seed node` needs it"],
];

/** What is missing on this machine, and the command that mends it. */
export const doctor: Command<{ readonly json?: boolean }> = {
  usage: "doctor",
  summary: "what is missing here, and the command that mends it",
  options: [["--json", "as JSON"]],
  async run({ session }) {
    const findings = await examine();
    if (session.json) session.output.json(findings);
    else {
      for (const finding of findings) {
        const mark = session.output.style(finding.ok ? "green" : "red", finding.ok ? "ok " : "BAD");
        session.output.line(`${mark} ${finding.name.padEnd(14)} ${finding.detail}`);
        if (finding.mend !== undefined) session.output.line(`    ${finding.mend}`);
      }
    }
    return findings.every((finding) => finding.ok) ? 0 : 1;
  },
};

async function examine(): Promise<readonly Finding[]> {
  const findings: Finding[] = [
    root(),
    await kernel(),
    cgroups(),
    await packetFilter(),
    outOfMemory(),
    await inotify(),
    await openFiles(),
    { name: "node", ok: true, detail: process.version },
  ];
  for (const [command, flag, debianPackage] of PROGRAMS) findings.push(await program(command, flag, debianPackage));
  for (const [command, flag, debianPackage, why] of OPTIONAL) {
    const found = await program(command, flag, debianPackage);
    findings.push({ ...found, ok: true, detail: found.ok ? found.detail : `missing; ${why}` });
  }
  findings.push(await builder());
  // Only `images seed kubernetes` needs it.
  findings.push({ name: "kubernetes", ok: true, detail: describeSource(await lookForKubernetes({ cacheFolder: DEFAULT_CACHE_FOLDER })) });
  return findings;
}

function root(): Finding {
  const ok = process.getuid?.() === 0;
  return {
    name: "root",
    ok,
    detail: ok ? "yes" : "Tidegate makes namespaces, links and cgroups: it needs root",
    mend: ok ? undefined : "sudo tidegate …",
  };
}

async function kernel(): Promise<Finding> {
  const release = (await readFile("/proc/sys/kernel/osrelease", "utf8")).trim();
  const facts = {
    filesystems: await readFile("/proc/filesystems", "utf8"),
    modules: await readFile(`/lib/modules/${release}/modules.dep`, "utf8").catch(() => ""),
  };
  if (hasOverlay(facts)) return { name: "kernel", ok: true, detail: `Linux ${release}` };
  return {
    name: "kernel",
    ok: false,
    detail: `Linux ${release}: no overlay filesystem, neither in the kernel nor as a module of it`,
    mend: "boot a kernel that has it, or install the modules of this one",
  };
}

/** A module need not be loaded: the kernel does that at the first mount, and nobody has mounted one on a host that was just booted. */
export function hasOverlay({ filesystems, modules }: { readonly filesystems: string; readonly modules: string }): boolean {
  return /^nodev\toverlay$/m.test(filesystems) || /\/overlay\.ko(\.\w+)?:/.test(modules);
}

/** What the rules of VPCs are made of; checked by the kernel, and not kept. */
const PROBE = `table inet tidegate_doctor {
  set addresses { type ipv4_addr; }
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; ip saddr @addresses ct count over 8192 drop; }
  chain leaving { type nat hook postrouting priority 100; ip saddr @addresses masquerade; }
  chain published { type nat hook prerouting priority -100; tcp dport 80 dnat ip to 192.0.2.1:80; }
}
`;

/** A kernel may have nf_tables without the families and expressions that security groups and NAT need, and then says no more than "not supported". */
async function packetFilter(): Promise<Finding> {
  const name = "packet filter";
  if (process.getuid?.() !== 0) return { name, ok: true, detail: "only root can ask the kernel" };
  const result = await runProgram(["nft", "--check", "-f", "-"], { stdin: PROBE, timeoutMs: 10_000, okCodes: [0, 1] }).catch(() => undefined);
  if (result === undefined) return { name, ok: false, detail: "nft cannot be run, see below" };
  if (result.code === 0) return { name, ok: true, detail: "nf_tables with sets, connection tracking and NAT" };
  const [line = ""] = result.stderr.split("\n").filter((text) => text.includes("Error"));
  return {
    name,
    ok: false,
    detail: `this kernel's nf_tables lacks what security groups and NAT need: ${line.replace(/^.*Error: /, "")}`,
    mend: "boot a kernel with NF_TABLES_INET, NFT_CT, NFT_CONNLIMIT, NFT_NAT and NFT_MASQ, as distributions' own have",
  };
}

function cgroups(): Finding {
  const v2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const v1 = existsSync("/sys/fs/cgroup/memory") && existsSync("/sys/fs/cgroup/cpu");
  if (v2 || v1) return { name: "cgroups", ok: true, detail: v2 ? "v2" : "v1" };
  return {
    name: "cgroups",
    ok: false,
    detail: "neither cgroup v2 nor the v1 memory and cpu controllers are mounted",
    mend: "mount -t cgroup2 none /sys/fs/cgroup",
  };
}

const INOTIFY_INSTANCES = 1024;

/** Counted by user id: all tasks that run as root share them with each other, and with the host's own root. */
async function inotify(): Promise<Finding> {
  const instances = Number(await readFile("/proc/sys/fs/inotify/max_user_instances", "utf8"));
  const detail = `${instances} watchers for each user id`;
  if (instances >= INOTIFY_INSTANCES) return { name: "inotify", ok: true, detail };
  return {
    name: "inotify",
    ok: true,
    detail: `${detail}: few, for tasks that run as root share them with the host`,
    mend: "sysctl -w fs.inotify.max_user_instances=8192",
  };
}

const FARGATE_OPEN_FILES = 65_535;

async function openFiles(): Promise<Finding> {
  const hard = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(await readFile("/proc/self/limits", "utf8"))?.[1] ?? Infinity);
  if (hard >= FARGATE_OPEN_FILES) return { name: "open files", ok: true, detail: `up to ${hard}` };
  return { name: "open files", ok: true, detail: `up to ${hard}; containers get no more where Tidegate may not raise it (CAP_SYS_RESOURCE)` };
}

/** Not having it is no fault: containers go first all the same. */
function outOfMemory(): Finding {
  const detail = mayLowerOomScore()
    ? "containers go first, Tidegate and its daemons last"
    : "containers go first; Tidegate and its daemons cannot be put last without CAP_SYS_RESOURCE";
  return { name: "out of memory", ok: true, detail };
}

async function program(command: string, flag: string, debianPackage: string): Promise<Finding> {
  const result = await runProgram([command, flag], { timeoutMs: 10_000, okCodes: [0, 1] }).catch(() => undefined);
  if (result === undefined) return { name: command, ok: false, detail: "missing", mend: `apt-get install ${debianPackage}` };
  const [line = ""] = (result.stdout || result.stderr).trim().split("\n");
  return { name: command, ok: true, detail: line.slice(0, 80) };
}

async function builder(): Promise<Finding> {
  const found = await findBuilder().catch(() => undefined);
  if (found === undefined)
    return { name: "image builder", ok: false, detail: "none of BuildKit, Docker and Buildah answers", mend: "apt-get install buildah" };
  return { name: "image builder", ok: true, detail: found.version };
}
