import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Controller } from "../contracts/controller.ts";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import type { TargetRegistrar } from "../contracts/load-balancer.ts";
import type { LoadBalancing } from "../contracts/load-balancing.ts";
import type { Network, PortPublisher } from "../contracts/network.ts";
import type { Store } from "../contracts/store.ts";
import { type ControllerState, createControllerRunner } from "../control/controller-runner.ts";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { ProxyProcess } from "./haproxy/proxy-process.ts";
import { createLoadBalancing } from "./load-balancing.ts";
import type { ProxyPlace } from "./plan-proxy.ts";
import { createProvisioner } from "./provision.ts";
import { createPublishController, type PublicationState } from "./publish/publish-controller.ts";
import { loadBalancerRecords } from "./records.ts";
import { createTargetRegistrar } from "./registrar.ts";
import { createVpcController } from "./vpc-controller.ts";

const DAEMON_PREFIX = "haproxy-";
const HAPROXY_USER = "haproxy";

export interface LoadBalancersOptions {
  /** `engine`: with the simulated one there is no HAProxy, and every target in use is healthy. */
  readonly config: Pick<InstanceConfig, "instanceId" | "dataDir" | "runDir"> & Partial<Pick<InstanceConfig, "engine">>;
  /** Ports of the host that lead to load balancers; left out, none is touched. */
  readonly publish?: Pick<InstanceConfig, "publish" | "account" | "region"> & { readonly publisher: PortPublisher };
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly network: Network;
  readonly supervisor: DaemonSupervisor;
}

export interface LoadBalancers {
  /** For ECS and EKS. */
  readonly registrar: TargetRegistrar;
  /** For the ELBv2 API. */
  readonly api: LoadBalancing;
  /** Run by `start`; here for tests. */
  readonly controllers: readonly Controller[];
  /** How its controllers get on. */
  states(): readonly ControllerState[];
  /** How each port that the operator wants published stands. */
  published(): readonly PublicationState[];
  /** Frees what no record knows, adopts the HAProxies that run, and begins to converge. After the network's start. */
  start(): Promise<void>;
  /** Ends the controllers; HAProxy goes on. */
  close(): Promise<void>;
  /** Ends every HAProxy of the instance and removes its files. */
  removeEverything(): Promise<void>;
}

/** ELBv2's load balancers: records, target health, and one HAProxy for each VPC that has any. */
export async function createLoadBalancers(options: LoadBalancersOptions): Promise<LoadBalancers> {
  const { store, clock, network, supervisor } = options;
  const logger = options.logger.child({ room: "loadbalancer" });
  const provisioner = createProvisioner({ store, network, logger });
  const proxies = await createProxies({ ...options, logger });
  const controller = createVpcController({
    store,
    clock,
    provisioner,
    proxyOf: (vpcId) => proxies.of(vpcId),
    sources: (wake) => proxies.watch(wake),
    isSimulated: options.config.engine === "simulated",
  });
  const publishing = options.publish === undefined ? undefined : publishControllerOf(options.publish, { store, logger });
  const controllers = [controller, ...(publishing === undefined ? [] : [publishing])];
  const runner = createControllerRunner({ store, controllers, clock, logger });
  return {
    registrar: createTargetRegistrar(options),
    api: createLoadBalancing(options),
    controllers,
    states: () => runner.state(),
    published: () => publishing?.states() ?? [],
    async start() {
      await sweep(options);
      await provisioner.sweep();
      // So that whoever hears that Tidegate serves hears how its ports stand; a failure is the runner's to repeat.
      await publishing?.start();
      await runner.start();
    },
    async close() {
      await runner.stop();
      proxies.release();
    },
    async removeEverything() {
      await runner.stop();
      proxies.release();
      for (const { name } of supervisor.list()) if (name.startsWith(DAEMON_PREFIX)) await supervisor.stop(name);
      await rm(rootOf(options), { recursive: true, force: true });
    },
  };
}

function publishControllerOf(
  { publish: publications, publisher, account, region }: NonNullable<LoadBalancersOptions["publish"]>,
  parts: Pick<LoadBalancersOptions, "store" | "logger">,
): ReturnType<typeof createPublishController> {
  return createPublishController({ ...parts, publications, publisher, home: { account, region } });
}

interface Proxies {
  of(vpcId: string): { readonly process: ProxyProcess; readonly place: ProxyPlace };
  watch(wake: (vpcId: string) => void): Disposable;
  release(): void;
}

async function createProxies(options: LoadBalancersOptions): Promise<Proxies> {
  const { config, supervisor, clock, logger, network } = options;
  const known = new Map<string, { readonly process: ProxyProcess; readonly place: ProxyPlace }>();
  const listeners = new Set<(vpcId: string) => void>();
  const user = await unprivilegedUser();
  const make = (vpcId: string): { readonly process: ProxyProcess; readonly place: ProxyPlace } => {
    const folder = join(rootOf(options), vpcId);
    const socketPath = join(config.runDir, `lb-${vpcId}.sock`);
    const places = { daemonName: `${DAEMON_PREFIX}${vpcId}`, folder, socketPath, masterSocket: join(config.runDir, `lb-${vpcId}-m.sock`) };
    const onChange = (): void => {
      for (const wake of listeners) wake(vpcId);
    };
    const process = new ProxyProcess({ places, supervisor, clock, logger, onChange, netnsPath: () => network.netnsOf(vpcId) });
    const owner = `tidegate ${config.instanceId} ${vpcId}`;
    return {
      process,
      place: { owner, instanceId: config.instanceId, socketPath, stateFile: join(folder, "server-state"), ...(user === undefined ? {} : { user }) },
    };
  };
  return {
    of(vpcId) {
      const proxy = known.get(vpcId) ?? make(vpcId);
      known.set(vpcId, proxy);
      return proxy;
    },
    watch(wake) {
      listeners.add(wake);
      return { [Symbol.dispose]: () => void listeners.delete(wake) };
    },
    release() {
      for (const { process } of known.values()) process.release();
      known.clear();
    },
  };
}

function rootOf({ config }: Pick<LoadBalancersOptions, "config">): string {
  return join(config.dataDir, "haproxy");
}

/** Ends the HAProxies, and removes the folders, of VPCs that have no load balancer. */
async function sweep(options: LoadBalancersOptions): Promise<void> {
  const { store, supervisor, logger } = options;
  const used = new Set((await store.list(loadBalancerRecords)).map(({ value }) => value.vpcId));
  for (const { name } of supervisor.list()) {
    if (!name.startsWith(DAEMON_PREFIX) || used.has(name.slice(DAEMON_PREFIX.length))) continue;
    logger.info("stopping a HAProxy that no load balancer needs", { key: name });
    await supervisor.stop(name);
  }
  const folders = await readdir(rootOf(options)).catch(() => []);
  for (const folder of folders.filter((vpcId) => !used.has(vpcId))) await rm(join(rootOf(options), folder), { recursive: true, force: true });
}

/** The user that Debian's package made for HAProxy, if it is there. */
async function unprivilegedUser(): Promise<string | undefined> {
  const [users, groups] = await Promise.all(["/etc/passwd", "/etc/group"].map((file) => readFile(file, "utf8").catch(() => "")));
  const known = [users, groups].every((text) => new RegExp(`^${HAPROXY_USER}:`, "m").test(text ?? ""));
  return known ? HAPROXY_USER : undefined;
}
