/**
 * A machine made of network namespaces for tests of the real network: one plays the host, one the internet behind it; tasks are plain
 * namespaces. Nothing of the real host's network is touched but names under /run/netns.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { InstanceConfig } from "../../src/core/config.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { DaemonSupervisor } from "../../src/contracts/daemon.ts";
import type { Store } from "../../src/contracts/store.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { run } from "../../src/host/run.ts";
import type { VpcNetwork } from "../../src/network/vpc-network.ts";
import { createNetwork } from "../../src/network/vpc-network.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";

/** Answers on TCP with the caller's address, on UDP likewise; one line on stdout once it listens. */
const SERVER = `
const [, ports, host] = process.argv;
let left = 0;
const ready = () => { if (--left === 0) console.log("listening"); };
for (const port of ports.split(",")) {
  left += 2;
  require("node:net").createServer((c) => { c.on("error", () => {}); c.write(c.remoteAddress.replace("::ffff:", "") + "\\n"); c.on("data", (d) => c.write(d)); }).listen(+port, host, ready);
  const u = require("node:dgram").createSocket("udp4");
  u.on("message", (m, r) => u.send(r.address + "\\n", r.port, r.address));
  u.bind(+port, host, ready);
}`;

export interface Reach {
  readonly tcp: string | undefined;
  readonly udp: string | undefined;
}

export class World {
  readonly instanceId = randomIds.hex(6);
  readonly host: string;
  readonly internet = `tgt${this.instanceId}-net`;
  readonly folder = mkdtempSync(join(tmpdir(), "tidegate-network-"));
  readonly hostsPath: string;
  readonly resolvConf = join(this.folder, "resolv.conf");
  readonly store: Store = createMemoryStore();
  readonly vpcCidr = `10.${200 + Math.floor(randomIds.random() * 8)}.${16 * Math.floor(randomIds.random() * 16)}.0/20`;
  supervisor!: DaemonSupervisor;
  network!: VpcNetwork;
  readonly #namespaces: string[] = [];
  readonly #processes: ChildProcess[] = [];
  readonly #config: Partial<InstanceConfig>;

  /** With a `neighbour`, another instance on the neighbour's host, which that one makes and removes. */
  constructor(config: Partial<InstanceConfig> = {}, neighbour?: World) {
    this.#config = config;
    this.host = neighbour?.host ?? `tgt${this.instanceId}-host`;
    this.hostsPath = neighbour?.hostsPath ?? join(this.folder, "hosts");
    if (neighbour === undefined) writeFileSync(this.hostsPath, "127.0.0.1 localhost\n", { mode: 0o644 });
    writeFileSync(this.resolvConf, "nameserver 203.0.113.2\n");
  }

  get config(): InstanceConfig {
    return {
      instanceId: this.instanceId,
      dataDir: join(this.folder, "data"),
      runDir: join(this.folder, "run"),
      port: 4566,
      account: "123456789012",
      region: "eu-west-1",
      vpcCidr: this.vpcCidr,
      auth: "iam",
      engine: "cri",
      hostPorts: [],
      publish: [],
      manageHosts: true,
      trustHostCa: false,
      ...this.#config,
    };
  }

  /** The host, with `eth0` and a default route by which it reaches the internet at 203.0.113.2. */
  async makeHost(): Promise<void> {
    await this.addNamespace(this.host);
    await this.addNamespace(this.internet);
    await this.ip(this.host, [
      "link add eth0 type veth peer name up0 netns /run/netns/" + this.internet,
      "address add 203.0.113.1/24 dev eth0",
      "link set eth0 up",
      "route add default via 203.0.113.2",
    ]);
    await this.ip(this.internet, ["address add 203.0.113.2/24 dev up0", "link set up0 up"]);
  }

  /** A network over the world's store: the first, or one after a crash. */
  async newNetwork(): Promise<VpcNetwork> {
    this.supervisor?.release();
    await this.network?.close();
    const { config, store } = this;
    this.supervisor = await createDaemonSupervisor({ config, clock: systemClock, logger: silentLogger });
    this.network = await createNetwork({
      config,
      store,
      clock: systemClock,
      ids: randomIds,
      logger: silentLogger,
      supervisor: this.supervisor,
      hostNetnsPath: `/run/netns/${this.host}`,
      hostsPath: this.hostsPath,
      resolvConfPaths: [this.resolvConf],
    });
    return this.network;
  }

  async start(): Promise<void> {
    await this.makeHost();
    await this.newNetwork();
    await this.network.start();
  }

  async addNamespace(name: string): Promise<string> {
    await run(["ip", "netns", "add", name]);
    this.#namespaces.push(name);
    await run(["ip", "-n", name, "link", "set", "lo", "up"]);
    return `/run/netns/${name}`;
  }

  async ip(namespace: string, lines: readonly string[]): Promise<void> {
    await run(["ip", "-n", namespace, "-batch", "-"], { stdin: lines.map((line) => `${line}\n`).join("") });
  }

  async text(namespace: string, ...command: readonly string[]): Promise<string> {
    return (await run(["nsenter", `--net=/run/netns/${namespace}`, "--", ...command])).stdout;
  }

  get scope(): { readonly account: string; readonly region: string } {
    return { account: this.config.account, region: this.config.region };
  }

  async group(name: string): Promise<string> {
    const vpc = await this.network.admin.ensureDefaultVpc(this.scope);
    const group = await this.network.admin.createSecurityGroup({ ...this.scope, vpcId: vpc.vpcId, groupName: name, description: name, tags: {} });
    return group.groupId;
  }

  subnet(zone: "a" | "b" | "c"): string {
    const found = this.network.admin.subnets(this.scope).find((subnet) => subnet.availabilityZone.endsWith(zone));
    if (found === undefined) throw new Error(`no subnet in zone ${zone}`);
    return found.subnetId;
  }

  async vpcNetns(): Promise<string> {
    const vpc = await this.network.admin.ensureDefaultVpc(this.scope);
    return (await this.network.netnsOf(vpc.vpcId)).replace("/run/netns/", "");
  }

  request(name: string, groups: readonly string[], zone: "a" | "b" | "c" = "a") {
    return {
      ...this.scope,
      attachmentId: `${this.instanceId}-${name}`,
      owner: name,
      subnetId: this.subnet(zone),
      securityGroupIds: groups,
      assignPublicIp: false,
      description: `test ${name}`,
    };
  }

  /** A namespace with an interface of the VPC in it; answers its name and address. */
  async task(
    name: string,
    groups: readonly string[],
    zone: "a" | "b" | "c" = "a",
  ): Promise<{ readonly ns: string; readonly ip: string; readonly attachmentId: string }> {
    const ns = `tgt${this.instanceId}-${name}`;
    const path = await this.addNamespace(ns);
    const request = this.request(name, groups, zone);
    const { privateIpv4 } = await this.network.allocate(request);
    await this.network.plug(request.attachmentId, path);
    return { ns, ip: privateIpv4, attachmentId: request.attachmentId };
  }

  /** Runs a server in a namespace; resolves when it listens. */
  async serve(namespace: string, ports: readonly number[], address = "0.0.0.0"): Promise<ChildProcess> {
    const child = this.spawnIn(namespace, [process.execPath, "-e", SERVER, ports.join(","), address]);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once("data", () => resolve());
      child.once("exit", (code) => reject(new Error(`the server in ${namespace} ended with ${code}`)));
    });
    return child;
  }

  spawnIn(namespace: string, command: readonly string[]): ChildProcess {
    const [program, ...args] = ["nsenter", `--net=/run/netns/${namespace}`, "--", ...command];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#processes.push(child);
    return child;
  }

  /** What a server at `address` answers a client in `namespace`: the client's address as the server saw it; `undefined` when nothing came. */
  async reach(namespace: string, address: string, port: number, from?: string): Promise<Reach> {
    await this.assertOwnRoute(namespace, address);
    const [tcp, udp] = await Promise.all(["tcp", "udp"].map((kind) => this.#ask(namespace, { kind, address, port, from })));
    return { tcp, udp };
  }

  async #ask(
    namespace: string,
    target: { readonly kind: string; readonly address: string; readonly port: number; readonly from: string | undefined },
  ): Promise<string | undefined> {
    const script = `
      const [, kind, host, port, from] = process.argv;
      const done = (text) => { if (text) console.log(text.trim()); process.exit(0); };
      // What has come by then is read first. Whoever is let in waits for the server's word as long as that takes on a busy machine.
      let isIn = false;
      const silence = () => setTimeout(() => setImmediate(() => setImmediate(() => { if (!isIn) done(""); })), 1500);
      const localAddress = from || undefined;
      if (kind === "tcp") {
        const c = require("node:net").connect({ host, port: +port, localAddress });
        c.on("connect", () => { isIn = true; setTimeout(done, 20_000, ""); });
        c.on("data", (d) => done(String(d))); c.on("error", () => done("")); c.on("end", () => done(""));
      } else {
        const u = require("node:dgram").createSocket("udp4");
        u.on("message", (d) => done(String(d))); u.on("error", () => done(""));
        u.bind(0, localAddress, () => u.connect(+port, host, () => u.send("x", () => {})));
      }
      silence();`;
    const { kind, address, port, from } = target;
    const text = await this.text(namespace, process.execPath, "-e", script, kind, address, String(port), from ?? "");
    return text.trim() || undefined;
  }

  /** Nothing is sent to an address that this world has no route of its own for. */
  async assertOwnRoute(namespace: string, address: string): Promise<void> {
    if (!namespace.includes(this.instanceId)) throw new Error(`${namespace} is not a namespace of this test`);
    const route = await this.text(namespace, "ip", "route", "get", address).catch((error: unknown) => String(error));
    if (!/ dev (lo|eth0|eni|host0|up0|tg)/.test(route)) throw new Error(`no route of ours to ${address} in ${namespace}: ${route}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) child.kill("SIGKILL");
    await this.supervisor?.stopAll();
    await this.network?.removeEverything().catch((error: unknown) => console.error(error));
    this.supervisor?.release();
    for (const name of this.#namespaces) await run(["ip", "netns", "del", name]).catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }
}
