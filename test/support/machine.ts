/**
 * A machine of a test's own, made of namespaces on this one: its own processes, mounts, network, host name and cgroups; its own /run,
 * /etc, /opt and /var/lib. Programs and devices are this machine's. A *reboot* ends everything in it at once, as a power switch does:
 * processes, namespaces, mounts, kernel settings and /run are gone; /etc, /opt and /var/lib stay.
 *
 * It has one network card, to a network in which it is {@link MACHINE_ADDRESS} and the test plays everybody else ({@link OUTSIDE_ADDRESS},
 * the gateway, and {@link INTERNET_ADDRESS}, somebody on the internet, who knows no way back to a private address).
 *
 *     const machine = await startMachine();
 *     await machine.exec(["ip", "route"]);
 *     await machine.outside(["curl", `http://${MACHINE_ADDRESS}/`]);
 *     await machine.reboot();
 *     await machine.dispose();   // also when the test has failed: nothing of it stays
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { run, type RunOptions, type RunResult } from "../../src/host/run.ts";
import { background, until } from "./instance.ts";
import { type MachineCgroup, machineCgroup } from "./machine-cgroup.ts";

export const MACHINE_ADDRESS = "198.51.100.2";
export const OUTSIDE_ADDRESS = "198.51.100.1";
export const INTERNET_ADDRESS = "203.0.113.10";

/** Folders that are the machine's own, with this machine's content in them, as a copy on write. */
const COPIED = ["/etc", "/opt"];
const ROOT = resolve(import.meta.dirname, "../..");
const SEARCH_PATH = `${ROOT}/node_modules/.bin:${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** A program that runs beside the test; disposing of it ends it. */
export type Background = ReturnType<typeof background>;

export interface Machine extends AsyncDisposable {
  /** Runs a program in it, in a cgroup of its own; what it leaves behind lives until the next reboot. */
  exec(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program in it that the test ends, or a reboot. */
  background(command: readonly string[], environment?: Readonly<Record<string, string>>): Background;
  /** Runs a program in the network around it, with this machine's files. */
  outside(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  outsideBackground(command: readonly string[], environment?: Readonly<Record<string, string>>): Background;
  /** Where a file of the machine's is for the test; not to be kept over a reboot. */
  path(file: string): string;
  /** For what outlives a reboot and both sides see under one name, a socket say. */
  readonly shared: string;
  /** Switches it off, without a word to anybody in it, and on again. */
  reboot(): Promise<void>;
  /** Ends it and removes all of it. */
  dispose(): Promise<void>;
}

/** @throws when this machine cannot make namespaces; nothing is left then. */
export async function startMachine(): Promise<Machine> {
  const disk = await mkdtemp(join(tmpdir(), "tg-machine-"));
  const machine = new NamespacedMachine(disk);
  try {
    await machine.begin();
    return machine;
  } catch (error) {
    await machine.dispose();
    throw error;
  }
}

class NamespacedMachine implements Machine {
  readonly shared: string;
  readonly #disk: string;
  readonly #cgroup: MachineCgroup;
  #outside: Namespaced | undefined;
  #inside: Namespaced | undefined;

  constructor(disk: string) {
    this.#disk = disk;
    this.#cgroup = machineCgroup(basename(disk));
    this.shared = join(disk, "shared");
  }

  async begin(): Promise<void> {
    await this.#format();
    this.#outside = await unshare(["unshare", "--net", "--fork", "--kill-child=SIGKILL", "--", "sleep", "infinity"], "sleep");
    await this.outside(["sh", "-ec", `ip link set lo up; ip address add ${INTERNET_ADDRESS}/32 dev lo`]);
    await this.#switchOn();
  }

  /** An empty disk: nothing under /var/lib, a hosts file without this machine's own additions. */
  async #format(): Promise<void> {
    await mkdir(this.shared);
    for (const folder of COPIED) for (const part of ["upper", "work"]) await mkdir(join(this.#disk, folder, part), { recursive: true });
    await mkdir(join(this.#disk, "var/lib"), { recursive: true });
    await writeFile(join(this.#disk, "power"), `${this.#cgroup.enterTop}exec "$@"\n`);
    await writeFile(join(this.#disk, "boot"), BOOT);
    await writeFile(join(this.#disk, "enter"), `${this.#cgroup.enter}${ENTER}`);
    const etc = join(this.#disk, "etc/upper");
    await writeFile(join(etc, "hosts"), "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\tmachine\n");
    await writeFile(join(etc, "hostname"), "machine\n");
    await writeFile(join(etc, "resolv.conf"), `nameserver ${OUTSIDE_ADDRESS}\n`);
  }

  async #switchOn(): Promise<void> {
    this.#cgroup.make();
    const spaces = ["--pid", "--fork", "--kill-child=SIGKILL", "--mount", "--net", "--uts", "--ipc", "--cgroup"];
    const boot = ["bash", join(this.#disk, "boot"), this.#disk, this.#cgroup.name, ROOT, ...COPIED];
    this.#inside = await unshare(["sh", join(this.#disk, "power"), "unshare", ...spaces, "--", ...boot], "catatonit");
    const link = `link add uplink type veth peer name eth0 netns ${this.#inside.pid}\naddress add ${OUTSIDE_ADDRESS}/24 dev uplink\nlink set uplink up\n`;
    await this.outside(["ip", "-batch", "-"], { stdin: link });
    const card = `address add ${MACHINE_ADDRESS}/24 dev eth0\nlink set lo up\nlink set eth0 up\nroute add default via ${OUTSIDE_ADDRESS}\n`;
    await this.exec(["ip", "-batch", "-"], { stdin: card });
  }

  /** Answers when nothing of it runs any more: its network card, seen from outside, is gone then too. */
  async #switchOff(): Promise<void> {
    this.#inside?.unshared.kill("SIGKILL");
    await this.#cgroup.killAll();
    await this.#inside?.ended;
    await this.#cgroup.remove();
    this.#inside = undefined;
  }

  exec(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.#entering(command, "KILL"), withPath(options));
  }

  background(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Background {
    return background(this.#entering(command, "TERM"), { PATH: SEARCH_PATH, ...environment });
  }

  outside(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.#leaving(command), withPath(options));
  }

  outsideBackground(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Background {
    return background(this.#leaving(command), { PATH: SEARCH_PATH, ...environment });
  }

  path(file: string): string {
    return join(`/proc/${this.#pid()}/root`, file);
  }

  async reboot(): Promise<void> {
    await this.#switchOff();
    // The kernel waits up to two minutes for answers on connections that were under way, and keeps the network namespace for so long.
    await this.outside(["ip", "link", "delete", "uplink"], { okCodes: [0, 1] });
    await until("the machine's card is gone", async () => !(await this.outside(["ip", "-brief", "link"])).stdout.includes("uplink"));
    await this.#switchOn();
  }

  async dispose(): Promise<void> {
    await this.#switchOff();
    this.#outside?.unshared.kill("SIGKILL");
    await this.#outside?.ended;
    await rm(this.#disk, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #pid(): number {
    if (this.#inside === undefined) throw new Error("the machine is off");
    return this.#inside.pid;
  }

  /** `end` is what the program gets when nsenter, its parent outside, is killed. */
  #entering(command: readonly string[], end: "KILL" | "TERM"): readonly string[] {
    return ["sh", join(this.#disk, "enter"), String(this.#pid()), end, ...command];
  }

  #leaving(command: readonly string[]): readonly string[] {
    return ["nsenter", `--target=${this.#outside?.pid}`, "--net", "--", ...command];
  }
}

interface Namespaced {
  /** The first process in them. */
  readonly pid: number;
  readonly unshared: ChildProcess;
  readonly ended: Promise<void>;
}

/** The namespaces die with the test's process, however it ends; `becomes` is what their first process is once all is set up. */
async function unshare(command: readonly string[], becomes: string): Promise<Namespaced> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...command], { stdio: ["ignore", "ignore", "pipe"] });
  const words: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => words.push(chunk));
  const ended = new Promise<void>((done) => child.on("exit", () => done()));
  const pid = await until(`${becomes} is the first process of its namespaces`, async () => {
    if (child.exitCode !== null)
      throw new Error(`${command.join(" ").slice(0, 60)} ended with ${child.exitCode}: ${Buffer.concat(words).toString()}`);
    const [first] = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).split(" ");
    return first !== undefined && first !== "" && (await readFile(`/proc/${first}/comm`, "utf8")).trim() === becomes ? Number(first) : undefined;
  });
  return { pid, unshared: child, ended };
}

function withPath(options: RunOptions): RunOptions {
  return { ...options, environment: { PATH: SEARCH_PATH, ...options.environment } };
}

/** Becomes a program in the machine: `$1` is its process 1, `$2` the signal. */
const ENTER = `
cd /
pid=$1 signal=$2; shift 2
exec nsenter --target="$pid" --mount --net --uts --ipc --pid --cgroup -- setpriv --pdeathsig "$signal" -- "$@"
`;

/** What process 1 does first: `$1` is the disk, `$2` the machine's cgroup, `$3` the checkout, the rest the folders that are copied on write. */
const BOOT = `
set -e
disk=$1 cgroup=$2 checkout=$3; shift 3
mount --make-rprivate /
mount -t proc proc /proc
# What others on this machine have mounted must not be kept alive by a copy of it here.
while read -r _ _ _ _ point _; do
  case "$checkout/" in "$point"/*) continue ;; esac
  case "$point" in /run/*|"\${disk%/*}"/*) echo "$point" ;; esac
done </proc/self/mountinfo | tac | while read -r point; do umount -l "$point" || true; done
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /run/sys
mount -t sysfs sysfs /run/sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  echo 0 >/sys/fs/cgroup/$cgroup/init/cgroup.procs
  mount --bind /sys/fs/cgroup/$cgroup /run/sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 cgroup /run/sys/fs/cgroup
  for hierarchy in /sys/fs/cgroup/*; do
    name=\${hierarchy##*/}
    if [ -L "$hierarchy" ]; then cp -P "$hierarchy" "/run/sys/fs/cgroup/$name"; continue; fi
    mkdir "/run/sys/fs/cgroup/$name"
    mount --bind "$hierarchy/$cgroup" "/run/sys/fs/cgroup/$name"
  done
fi
mount --move /run/sys /sys
rmdir /run/sys
cat /proc/sys/kernel/random/uuid >"$disk/boot-id"
mount --bind "$disk/boot-id" /proc/sys/kernel/random/boot_id
for folder in "$@"; do
  mount -t overlay overlay -o "lowerdir=$folder,upperdir=$disk$folder/upper,workdir=$disk$folder/work" "$folder"
done
mount --bind "$disk/var/lib" /var/lib
hostname machine
exec catatonit -P
`;
