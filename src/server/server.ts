import { join } from "node:path";
import type { Toolbox } from "../contracts/service.ts";
import type { VpcEndpoint } from "../contracts/network.ts";
import { createControllerRunner } from "../control/controller-runner.ts";
import type { InstanceConfig } from "../core/config.ts";
import { ownToken } from "../core/own-token.ts";
import { STATUSES } from "../fargate/records.ts";
import { createGateway, type Gateway } from "../gateway/gateway.ts";
import type { InheritedListener, Listener } from "../gateway/listeners.ts";
import { readTextIfAny, removeDrafts, writeFileAtomically } from "../host/files.ts";
import { CommitWatch } from "./commit-watch.ts";
import { healthChecks } from "./health.ts";
import { checkHost } from "./host-checks.ts";
import { createHousekeeping } from "./housekeeping.ts";
import { ownEndpoints } from "./own-endpoints.ts";
import { createMetrics } from "./metrics.ts";
import { watchRooms } from "./room-metrics.ts";
import { openRooms, type Rooms } from "./rooms.ts";
import { serveVpcs } from "./serve-vpcs.ts";
import { claimInstance } from "./serving.ts";
import { statusFacts } from "./status/facts.ts";
import { judgeStatus, statusReport } from "./status/judge.ts";

/** Connections that clients keep are served once more within this when the server ends, and told to go. */
const IDLE_GRACE_MS = 250;

export interface Server {
  /** The addresses that it serves. */
  listeners(): readonly Listener[];
  /** Ends the control plane: requests in flight finish; what runs goes on. */
  close(): Promise<void>;
}

export interface StartOptions {
  readonly version: string;
  /** Sockets of the process before this one. */
  readonly inherited?: readonly InheritedListener[];
  /** Told what the server is made of, for tests that reach behind the API. */
  readonly onRooms?: (rooms: Rooms) => void;
}

/** Starts an instance: adopts what runs, sweeps what nobody owns, serves. */
export async function startServer(config: InstanceConfig, toolbox: Toolbox, { version, inherited, onRooms }: StartOptions): Promise<Server> {
  await using stack = new AsyncDisposableStack();
  stack.use(await claimInstance(config));
  for (const folder of [config.dataDir, config.runDir]) await removeDrafts(folder);
  const metrics = createMetrics();
  const commits = new CommitWatch(toolbox.clock);
  const observeCommit = (seconds: number): void => {
    metrics.observeCommit(seconds);
    commits.observe(seconds);
  };
  const rooms = await openRooms(config, toolbox, { observeCommit });
  stack.defer(() => closeRooms(rooms));
  onRooms?.(rooms);
  const runner = createControllerRunner({ store: rooms.store, controllers: rooms.controllers, clock: toolbox.clock, logger: toolbox.logger });
  const states = () => [...runner.state(), ...rooms.loadBalancers.states()];
  stack.use(await watchRooms(metrics.registry, { rooms, controllers: states }));
  let serving = false;
  const checks = async () => [
    ...healthChecks({ supervisor: rooms.supervisor, controllers: states(), published: rooms.loadBalancers.published(), serving }),
    ...(await checkHost(rooms.disk)),
    commits.check(),
  ];
  const gateway = createGateway({
    ...toolbox,
    config,
    services: rooms.services,
    credentials: rooms.credentials,
    metrics,
    inherited,
    idleGraceMs: config.engine === "cri" ? IDLE_GRACE_MS : 0,
    health: async () => {
      const looked = await checks();
      return { healthy: looked.every((check) => check.ok), details: { version, serving, checks: looked } };
    },
  });
  const housekeeping = createHousekeeping({ rooms, dataDir: config.dataDir, clock: toolbox.clock, logger: toolbox.logger.child({ room: "server" }) });
  await gateway.fastify.register(rooms.registry.plugin);
  await gateway.fastify.register(rooms.eks.plugin);
  await gateway.fastify.register(
    ownEndpoints({
      token: async () => ownToken((await rooms.credentials.ensureRootKeys()).secretAccessKey),
      status: async () => {
        const facts = await statusFacts(rooms, toolbox.clock.nowMs());
        return statusReport({ version, instanceId: config.instanceId, serving, checks: await checks() }, judgeStatus(facts));
      },
      prune: () => housekeeping.prune(),
      timeline: async (id) => {
        const status = await rooms.store.get(STATUSES, id);
        return status === undefined ? undefined : { id, timeline: status.value.timeline };
      },
      snapshots: (name) => rooms.eks.snapshots(config, name),
      recover: (asked) => rooms.eks.recover(config, asked),
    }),
  );
  stack.defer(() => gateway.close());
  await gateway.listen("127.0.0.1", config.port);
  const keys = await rooms.credentials.ensureRootKeys();
  await keepCredentials(join(config.dataDir, "credentials.json"), `${JSON.stringify(keys, null, 2)}\n`);
  await rooms.network.start();
  const { network } = rooms;
  if (config.engine === "cri") stack.use(await serveVpcs({ network, logger: toolbox.logger, open: (vpc) => openVpc(vpc, rooms, gateway) }));
  await Promise.all([rooms.loadBalancers.start(), rooms.fargate.start(), rooms.ecs.start()]);
  await runner.start();
  stack.defer(() => runner.stop());
  housekeeping.start();
  stack.defer(() => housekeeping.close());
  serving = true;
  const owned = stack.move();
  return { listeners: () => gateway.listeners(), close: () => owned.disposeAsync() };
}

/** A start with a full disk writes nothing that is there already. */
async function keepCredentials(path: string, text: string): Promise<void> {
  if ((await readTextIfAny(path)) !== text) await writeFileAtomically(path, text, { mode: 0o600 });
}

/** Listens where the containers of a VPC reach Tidegate: for the APIs, their metadata, and as their nodes' kubelets. */
async function openVpc(endpoint: VpcEndpoint, rooms: Rooms, gateway: Gateway): Promise<AsyncDisposable> {
  const { vpcId, hostAddress: host, apiPort, metadataPort, kubeletPort } = endpoint;
  const { fargate, kubelet } = rooms;
  await using opened = new AsyncDisposableStack();
  const listener = await gateway.listen(host, apiPort);
  opened.defer(() => listener.close());
  await fargate.metadataServer.listen(host, metadataPort);
  opened.defer(() => fargate.metadataServer.unlisten(host));
  await kubelet.server.listen({ vpcId, host, port: kubeletPort });
  opened.defer(() => kubelet.server.unlisten(host));
  return opened.move();
}

/** Lets go of everything, in the order opposite to its making. */
export async function closeRooms(rooms: Rooms): Promise<void> {
  await rooms.kubelet.server.close();
  await rooms.fargate.close();
  rooms.ecs.close();
  await rooms.loadBalancers.close();
  await rooms.collector.close?.();
  await rooms.registry.close();
  await rooms.network.close();
  await rooms.runtime.close();
  await rooms.logStore.close();
  rooms.credentials[Symbol.dispose]();
  rooms.supervisor.release();
  await rooms.store.close();
}
