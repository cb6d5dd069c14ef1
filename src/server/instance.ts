import { createServer } from "node:net";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { InstanceConfig, KeptInstance } from "../core/config.ts";
import { Problem } from "../core/problem.ts";
import { randomIds } from "../core/ids.ts";
import { makeFolder, readTextIfAny, writeFileAtomically } from "../host/files.ts";
import { announceInstance, oneAtATime, otherInstances, RUN_ROOT } from "./first-start.ts";
import type { ServerFlags } from "./flags.ts";
import { INSTANCE_FORMAT, readInstanceFile } from "./instance-file.ts";
import { VERSION } from "./version.ts";

/**
 * The network to use, given the one that was asked for and those that other instances have, with who has them in words.
 * @throws Problem `conflict` when the one that was asked for is taken.
 */
type PickCidr = (wanted: string | undefined, taken: readonly { readonly cidr: string; readonly holder: string }[]) => Promise<string>;

const DEFAULT_PORT = 4566;
const DEFAULT_ACCOUNT = "100000000000";
const DEFAULT_REGION = "us-east-1";

/**
 * The instance under `flags.dataDir`, made at first start: free port and CIDR are chosen then, and kept.
 * @throws Problem `unavailable` when a port that was asked for is taken; `conflict` when a flag contradicts what was kept; `unsupported` when
 *   a newer Tidegate made it.
 */
export async function openInstance(flags: ServerFlags, pickCidr: PickCidr): Promise<InstanceConfig> {
  await makeFolder(flags.dataDir, { mode: 0o755 });
  const path = join(flags.dataDir, "instance.json");
  const before = await readKept(path);
  const keep = async (decided: KeptInstance): Promise<KeptInstance> => {
    const kept = { ...decided, format: INSTANCE_FORMAT, tidegateVersion: VERSION };
    if (JSON.stringify(before) !== JSON.stringify(kept)) await writeFileAtomically(path, `${JSON.stringify(kept, null, 2)}\n`);
    await announceInstance(kept, flags.dataDir);
    return kept;
  };
  const kept = before === undefined ? await oneAtATime(async () => keep(await firstStart(flags, pickCidr))) : await keep(checkAgainst(before, flags));
  return {
    ...kept,
    dataDir: flags.dataDir,
    auth: flags.auth,
    hostPorts: flags.hostPorts,
    publish: flags.publish,
    manageHosts: flags.manageHosts,
    trustHostCa: flags.trustHostCa,
  };
}

/**
 * An instance for records that come from another one, which may still be on this host: its own id, and a port that nobody here has; what is
 * in the records (account, region, network, engine) stays.
 */
export async function movedInstance(from: KeptInstance, { port }: { readonly port?: number }): Promise<KeptInstance> {
  const instanceId = randomIds.hex(6);
  const taken = new Set((await otherInstances()).map((other) => other.port));
  const moved = withPort(from, port ?? (await firstFreePort(from.port, taken)));
  return { ...moved, instanceId, runDir: join(RUN_ROOT, instanceId), format: INSTANCE_FORMAT, tidegateVersion: VERSION };
}

/** The instance that was made there before, for a teardown; `undefined` when there is none. */
export async function findInstance(dataDir: string): Promise<(InstanceConfig & KeptInstance) | undefined> {
  const kept = await readKept(join(dataDir, "instance.json"));
  if (kept === undefined) return undefined;
  return { ...kept, dataDir, auth: "iam", hostPorts: [], publish: [], manageHosts: true, trustHostCa: false };
}

async function readKept(path: string): Promise<KeptInstance | undefined> {
  const text = await readTextIfAny(path);
  return text === undefined ? undefined : readInstanceFile(text, path);
}

async function firstStart(flags: ServerFlags, pickCidr: PickCidr): Promise<KeptInstance> {
  await mustHoldNothingElse(flags.dataDir);
  const instanceId = randomIds.hex(6);
  const others = await otherInstances();
  const ports = new Set(others.map((other) => other.port));
  const cidrs = others.map(({ vpcCidr, dataDir }) => ({ cidr: vpcCidr, holder: `the VPC of the Tidegate under ${dataDir}` }));
  return {
    instanceId,
    port: flags.port ?? (await firstFreePort(DEFAULT_PORT, ports)),
    account: flags.account ?? DEFAULT_ACCOUNT,
    region: flags.region ?? DEFAULT_REGION,
    vpcCidr: await pickCidr(flags.vpcCidr, cidrs),
    runDir: join(RUN_ROOT, instanceId),
    engine: flags.engine ?? "cri",
    format: INSTANCE_FORMAT,
    tidegateVersion: VERSION,
  };
}

/** `down --purge` removes the folder whole. @throws Problem `conflict` when something of others is in it. */
async function mustHoldNothingElse(dataDir: string): Promise<void> {
  // The log is there before the server is, with `up --detach`; drafts are what a first start left that was killed.
  const others = (await readdir(dataDir)).filter((name) => name !== "tidegate.log" && !name.startsWith("instance.json"));
  if (others.length === 0) return;
  throw new Problem(
    "conflict",
    `${dataDir} holds other things (${others.slice(0, 3).join(", ")}${others.length > 3 ? ", …" : ""}) and no Tidegate: name an empty or new folder with --data-dir`,
  );
}

/** The port may change between starts; account, region, CIDR and engine are in what was made. */
function checkAgainst(kept: KeptInstance, flags: ServerFlags): KeptInstance {
  const fixed = { account: flags.account, region: flags.region, vpcCidr: flags.vpcCidr, engine: flags.engine };
  for (const [name, value] of Object.entries(fixed)) {
    const before = kept[name as keyof typeof fixed];
    if (value !== undefined && value !== before) {
      throw new Problem("conflict", `this instance was made with ${name} ${before}; ${value} needs another data directory (--data-dir)`);
    }
  }
  return withPort(kept, flags.port ?? kept.port);
}

function withPort(kept: KeptInstance, port: number): KeptInstance {
  if (port === kept.port) return kept;
  const earlierPorts = new Set([...(kept.earlierPorts ?? []), kept.port]);
  earlierPorts.delete(port);
  return { ...kept, port, earlierPorts: [...earlierPorts] };
}

async function firstFreePort(from: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = from; port < from + 100; port++) if (!taken.has(port) && (await isFree(port))) return port;
  throw new Problem("unavailable", `no port from ${from} to ${from + 99} is free on 127.0.0.1; say one with --port`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ host: "127.0.0.1", port }, () => probe.close(() => resolve(true)));
  });
}
