/** A VPC for tests: a namespace of its own with load balancer and target addresses on its `lo`, reached from the host by a veth. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { request, type Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AttachRequest, Network, OwnedNames } from "../../../src/contracts/network.ts";
import type { NetworkStatus } from "../../../src/contracts/engine.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { randomIds } from "../../../src/core/ids.ts";
import { run } from "../../../src/host/run.ts";

export interface Lab {
  readonly vpcId: string;
  readonly netnsName: string;
  readonly config: { readonly instanceId: string; readonly dataDir: string; readonly runDir: string };
  readonly network: Network;
  /** What `setNames` was last told, by owner. */
  readonly names: ReadonlyMap<string, OwnedNames>;
  readonly attached: ReadonlyMap<string, string>;
  /** A free address of the VPC, on its `lo`. */
  address(): Promise<string>;
  /** Starts a target and resolves when it listens. */
  target(options?: { readonly keepAliveTimeoutMs?: number; readonly port?: number; readonly breakEvery?: number }): Promise<LabTarget>;
  remove(): Promise<void>;
}

export interface LabTarget {
  readonly ip: string;
  readonly port: number;
  setHealth(health: "200" | "500" | "hang" | "302"): Promise<void>;
  /** How many requests came, health checks left out. */
  seen(): Promise<number>;
  /** How many of them came on a connection that had carried one before. */
  reused(): Promise<number>;
  kill(): Promise<void>;
}

const TARGET_SERVER = join(import.meta.dirname, "target-server.ts");

export async function createLab(): Promise<Lab> {
  const instanceId = randomIds.hex(6);
  const netnsName = `tgl${instanceId}`;
  const net = `198.${18 + Math.floor(randomIds.random() * 2)}.${Math.floor(randomIds.random() * 254)}`;
  const folder = await mkdtemp(join(tmpdir(), "tg-lb-"));
  const children: ChildProcess[] = [];
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const inside = (...command: readonly string[]): Promise<unknown> => run(["ip", "-n", netnsName, ...command]);
  await run(["ip", "netns", "add", netnsName]);
  undo.push(() => run(["ip", "netns", "del", netnsName]));
  await run(["ip", "link", "add", `h${instanceId}`, "type", "veth", "peer", "name", "up0", "netns", netnsName]);
  await run(["ip", "addr", "add", `${net}.1/32`, "dev", `h${instanceId}`]);
  await run(["ip", "link", "set", `h${instanceId}`, "up"]);
  await inside("link", "set", "lo", "up");
  await inside("link", "set", "up0", "up");
  await inside("addr", "add", `${net}.2/32`, "dev", "lo");
  await inside("route", "add", `${net}.1/32`, "dev", "up0");
  await run(["ip", "route", "add", `${net}.0/24`, "dev", `h${instanceId}`, "src", `${net}.1`]);
  let next = 10;
  const address = async (): Promise<string> => {
    const ip = `${net}.${next++}`;
    await inside("addr", "add", `${ip}/32`, "dev", "lo");
    return ip;
  };
  const vpcId = `vpc-${instanceId}`;
  const { network, names, attached } = labNetwork({ vpcId, netnsPath: `/run/netns/${netnsName}`, address });
  return {
    vpcId,
    netnsName,
    config: { instanceId, dataDir: join(folder, "data"), runDir: join(folder, "run") },
    network,
    names,
    attached,
    address,
    async target({ keepAliveTimeoutMs = 5_000, port = 8080, breakEvery = 0 } = {}) {
      const ip = await address();
      const settings = [port, keepAliveTimeoutMs, breakEvery].map(String);
      const args = ["netns", "exec", netnsName, process.execPath, TARGET_SERVER, ip, ...settings];
      const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
      children.push(child);
      await new Promise<void>((resolve, reject) => {
        child.stdout.once("data", () => resolve());
        child.once("exit", (code) => reject(new Error(`the target ended with ${code}`)));
      });
      return labTarget(child, ip, port);
    },
    async remove() {
      await Promise.all(children.map(end));
      for (const step of undo.toReversed()) await step().catch(() => {});
    },
  };
}

function labTarget(child: ChildProcess, ip: string, port: number): LabTarget {
  const control = async (path: string): Promise<string> => (await call(`http://${ip}:${port}${path}`, { agent: false })).body;
  return {
    ip,
    port,
    setHealth: async (health) => void (await control(`/_set?health=${health}`)),
    seen: async () => Number(await control("/_seen")),
    reused: async () => Number(await control("/_reused")),
    kill: () => end(child),
  };
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

function labNetwork({ vpcId, netnsPath, address }: { readonly vpcId: string; readonly netnsPath: string; readonly address: () => Promise<string> }) {
  const attached = new Map<string, string>();
  const owners = new Map<string, string>();
  const names = new Map<string, OwnedNames>();
  const status = (attachmentId: string, ip: string): NetworkStatus => ({
    attachmentId,
    eniId: `eni-${attachmentId}`,
    macAddress: "02:00:00:00:00:01",
    privateIpv4: ip,
    privateDnsName: `ip-${ip.replaceAll(".", "-")}.ec2.internal`,
    subnetId: "subnet-lab",
    vpcId,
    subnetCidr: `${ip}/24`,
    gatewayIpv4: ip,
  });
  const unused = (): never => {
    throw new Error("not used by load balancers");
  };
  const network: Network = {
    allocate: unused,
    plug: unused,
    unplug: unused,
    dnsFor: unused,
    endpoints: unused,
    async attachLocal({ attachmentId, owner }: AttachRequest) {
      const ip = attached.get(attachmentId) ?? (await address());
      attached.set(attachmentId, ip);
      owners.set(attachmentId, owner);
      return status(attachmentId, ip);
    },
    async detach(attachmentId) {
      attached.delete(attachmentId);
    },
    list: async () =>
      [...attached].map(([attachmentId, ip]) => ({ attachmentId, owner: owners.get(attachmentId) ?? "", status: status(attachmentId, ip) })),
    netnsOf: async () => netnsPath,
    async setNames(owner, owned) {
      if (owned.records.length === 0) names.delete(owner);
      else names.set(owner, owned);
    },
  };
  return { network, names, attached };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** One request, never repeated. */
export function call(
  url: string,
  options: {
    readonly agent?: Agent | false;
    readonly method?: string;
    readonly body?: string | Buffer;
    readonly headers?: Record<string, string>;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { agent = false, method = "GET", headers = {} } = options;
    const outgoing = request(url, { agent, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), headers: response.headers }));
    });
    outgoing.on("error", reject);
    outgoing.end(options.body);
  });
}

/** Looks until `probe` answers something, for at most `timeoutMs`. */
export async function until<T>(what: string, probe: () => Promise<T | undefined | false>, timeoutMs = 30_000): Promise<T> {
  const deadlineMs = systemClock.nowMs() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (systemClock.nowMs() > deadlineMs) throw new Error(`waited ${timeoutMs} ms for: ${what}`);
    await systemClock.sleep(25);
  }
}
