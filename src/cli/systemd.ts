/** The systemd unit that starts an instance at boot and keeps its control plane alive. */
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "../host/run.ts";
import { DEFAULT_DATA_DIR } from "./session.ts";

const UNITS = "/etc/systemd/system";

export interface Unit {
  readonly name: string;
  readonly path: string;
}

/** `tidegate.service`; of an instance elsewhere than under the default folder, `tidegate-<folder>.service`. */
export function unitOf(dataDir: string): Unit {
  const folder = resolve(dataDir);
  const suffix = folder === DEFAULT_DATA_DIR ? "" : `-${folder.replace(/^\/+/, "").replaceAll(/[^A-Za-z0-9_.]+/g, "-")}`;
  const name = `tidegate${suffix}.service`;
  return { name, path: join(UNITS, name) };
}

/** Whether this machine was booted with systemd, as `sd_booted(3)` tells it. */
export function runsSystemd(): boolean {
  return existsSync("/run/systemd/system");
}

/** The instance's unit, where `tidegate install` has made one. */
export async function installedUnit(dataDir: string): Promise<Unit | undefined> {
  const unit = unitOf(dataDir);
  return existsSync(unit.path) ? unit : undefined;
}

/** The same, where systemd is there to act on it. */
export async function activeUnit(dataDir: string): Promise<Unit | undefined> {
  return runsSystemd() ? installedUnit(dataDir) : undefined;
}

/** @throws Problem `unavailable` with what systemctl says. */
export async function systemctl(...args: readonly string[]): Promise<void> {
  await run(["systemctl", ...args], { timeoutMs: 120_000 });
}

/** Removes the unit; what it runs ends with it, but for what lives in cgroups of its own: daemons and tasks. */
export async function removeUnit({ name, path }: Unit): Promise<void> {
  if (runsSystemd()) await systemctl("disable", "--now", name);
  await rm(path, { force: true });
  // Without a systemd, nobody else removes the link that `enable` has made.
  for (const folder of await readdir(UNITS)) if (folder.endsWith(".wants")) await rm(join(UNITS, folder, name), { force: true });
  if (runsSystemd()) await systemctl("daemon-reload");
}

export interface UnitFacts {
  readonly dataDir: string;
  /** The server's program and arguments, in full paths. */
  readonly command: readonly string[];
  /** Where this Tidegate's own files are. */
  readonly checkout: string;
}

/** The text of the unit. Pure. */
export function unitText({ dataDir, command, checkout }: UnitFacts): string {
  return `# Made by \`tidegate install\`, which overwrites it; \`tidegate uninstall\` removes it.
[Unit]
Description=Tidegate, AWS Fargate with ECS on this host (${specifier(dataDir)})
Documentation=file://${specifier(join(checkout, "docs/operations.md"))}
Wants=network-online.target
# Firewalls first: what they drop is known then. Docker too, which drops what is forwarded.
After=network-online.target nftables.service ufw.service firewalld.service docker.service containerd.service
RequiresMountsFor=${[dataDir, checkout].map(quoted).join(" ")}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${command.map(quoted).join(" ")}
Restart=always
RestartSec=3
# Flags that cannot be right do not become right by another try.
RestartPreventExitStatus=2
# Only the control plane is systemd's: containerd, load balancers, resolvers and tasks live in cgroups of their own and go on.
KillMode=process
TimeoutStopSec=90
LimitNOFILE=1048576
# No sandbox (ProtectSystem=, PrivateMounts=, …): network namespaces and mounts that are made here must be the host's.

[Install]
WantedBy=multi-user.target
`;
}

/** As systemd.syntax(7) and systemd.unit(5) read it: quotes, backslashes, specifiers, variables. */
function quoted(text: string): string {
  const escaped = specifier(text).replaceAll("$", "$$$$");
  return /^[A-Za-z0-9_@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/[\\"]/g, (character) => `\\${character}`)}"`;
}

function specifier(text: string): string {
  return text.replaceAll("%", "%%");
}
