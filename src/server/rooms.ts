import { join } from "node:path";
import type { Service, Toolbox } from "../contracts/service.ts";
import type { Controller } from "../contracts/controller.ts";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import type { LogCollector, LogStore } from "../contracts/log-store.ts";
import type { Store } from "../contracts/store.ts";
import type { InstanceConfig } from "../core/config.ts";
import { createDaemonSupervisor } from "../daemons/supervisor.ts";
import { createCriRuntime, type CriRuntime } from "../engines/cri/runtime.ts";
import { createSimulatedLogCollector, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createFargate, type Fargate } from "../fargate/fargate.ts";
import { DiskGuard } from "../host/disk-guard.ts";
import { createIngress } from "../ingress/ingress.ts";
import { DRAIN_HOOK } from "../kubelet/compile-pod.ts";
import { createKubelet, type Kubelet } from "../kubelet/kubelet.ts";
import { createLoadBalancers, type LoadBalancers } from "../loadbalancer/load-balancers.ts";
import { createLogCollector } from "../logstore/collector/log-collector.ts";
import { openLogStore } from "../logstore/log-store.ts";
import { createNetwork, type VpcNetwork } from "../network/vpc-network.ts";
import { createRegistry, type Registry } from "../registry/registry.ts";
import { createEc2Service } from "../services/ec2/service.ts";
import { createEcrService } from "../services/ecr/service.ts";
import { createEcsService, type EcsService } from "../services/ecs/ecs-service.ts";
import { createEksService, type EksService } from "../services/eks/service.ts";
import { createElbv2Service } from "../services/elbv2/service.ts";
import { createCredentialSource, type IamCredentials } from "../services/iam/credentials.ts";
import { createIamService } from "../services/iam/service.ts";
import { createLogsService } from "../services/logs/service.ts";
import { createIssuerKeys } from "../services/sts/issuer-keys.ts";
import { createStsService } from "../services/sts/service.ts";
import { openSqliteStore, type SqliteStoreOptions } from "../store/sqlite/sqlite-store.ts";
import { ENDPOINT_ADDRESS } from "../network/object-names.ts";
import { eksPorts } from "./eks-ports.ts";
import { ingressPorts } from "./ingress-ports.ts";
import { createSimulatedAdmission, kubeletPorts } from "./kubelet-ports.ts";
import { VERSION } from "./version.ts";
import { ecsPorts, imagesForTasks, logWriters, metadataOf, podCredentialsOf, roleCredentials, subnetLookup } from "./ports.ts";

/** Everything an instance is made of, tied together; nothing is started yet beyond what the rooms open. */
export interface Rooms {
  readonly store: Store;
  /** Of the disk that the data folder is on. */
  readonly disk: DiskGuard;
  readonly supervisor: DaemonSupervisor;
  readonly runtime: ContainerRuntime;
  /** Only with the CRI engine. */
  readonly cri?: CriRuntime;
  readonly network: VpcNetwork;
  readonly registry: Registry;
  readonly logStore: LogStore & { close(): Promise<void> };
  readonly collector: LogCollector & { close?(): Promise<void> };
  readonly loadBalancers: LoadBalancers;
  readonly fargate: Fargate;
  readonly ecs: EcsService;
  readonly eks: EksService;
  readonly kubelet: Kubelet;
  readonly credentials: IamCredentials;
  readonly services: readonly Service[];
  /** Of the services and the compute layer; the load balancers run their own. */
  readonly controllers: readonly Controller[];
}

/** Who is told what the rooms measure. */
export type RoomObservers = Pick<SqliteStoreOptions, "observeCommit">;

const SIMULATED_MEMORY_MIB = 2 ** 40;

/** Opens the rooms. What can be opened side by side is: containerd's start is the longest of it. */
export async function openRooms(config: InstanceConfig, toolbox: Toolbox, observers: RoomObservers = {}): Promise<Rooms> {
  const { clock, ids, logger } = toolbox;
  const store = await openSqliteStore({ path: join(config.dataDir, "tidegate.db"), clock, logger, version: VERSION, ...observers });
  const supervisor = await createDaemonSupervisor({ config, clock, logger });
  const disk = new DiskGuard({ folder: config.dataDir, clock });
  const runtimeOpening = openRuntime(config, { ...toolbox, supervisor, disk });
  runtimeOpening.catch(() => {});
  const network = await createNetwork({ config, store, clock, ids, logger, supervisor });
  const registry = await createRegistry({ ...toolbox, dataDir: join(config.dataDir, "registry"), store, config, disk });
  const logStore = await openLogStore({ ...toolbox, directory: join(config.dataDir, "logs"), store });
  const loadBalancers = await createLoadBalancers({
    config,
    store,
    clock,
    ids,
    logger,
    network,
    supervisor,
    publish: { ...config, publisher: network },
  });
  const credentials = createCredentialSource({ store, clock, ids, config });
  const runtime = await runtimeOpening;
  const late: { ecs?: EcsService; eks?: EksService; fargate?: Fargate; kubelet?: Kubelet } = {};
  const collector =
    runtime.cri === undefined
      ? createSimulatedLogCollector()
      : createLogCollector({ logStore, clock, logger, writers: logWriters(runtime.cri, () => late.fargate) });
  const fargate = await createFargate({
    ...toolbox,
    config,
    store,
    runtime: runtime.runtime,
    network,
    logs: collector,
    images: imagesForTasks(registry, config, () => late.kubelet),
    credentials: roleCredentials(credentials, config),
    metadata: metadataOf(() => late.ecs),
    podCredentials: podCredentialsOf(() => late.eks),
    // Simulated tasks take no memory: scale runs are not to end at this host's.
    ...(config.engine === "simulated" && { hostMemoryMiB: SIMULATED_MEMORY_MIB }),
  });
  late.fargate = fargate;
  const ports = ecsPorts({ config, registry, registrar: loadBalancers.registrar, network, logStore, credentials });
  const ecs = createEcsService({ store, engine: fargate.engine, ports, toolbox });
  late.ecs = ecs;
  for (const hook of ecs.taskHooks) fargate.registerHook(hook);
  const eks = createEksService({
    store,
    engine: fargate.engine,
    ports: eksPorts({ config, registry, network, fargate, disk, logStore, credentials, toolbox, store, kubelet: () => late.kubelet }),
    toolbox,
    ownHosts: ["localhost", "127.0.0.1", ENDPOINT_ADDRESS].map((host) => `${host}:${config.port}`),
  });
  late.eks = eks;
  const podPorts = kubeletPorts({ store, network, identities: eks.identityMap, toolbox });
  const kubelet = createKubelet({ store, engine: fargate.engine, ports: podPorts, toolbox });
  late.kubelet = kubelet;
  for (const hook of kubelet.hooks) fargate.registerHook(hook);
  const elbv2 = createElbv2Service({ balancing: loadBalancers.api, network: subnetLookup(network) });
  const balancerPorts = ingressPorts({ store, network, loadBalancers, elbv2, clusters: podPorts.clusters, toolbox });
  const ingress = createIngress({ store, ports: balancerPorts, toolbox, drainHook: DRAIN_HOOK });
  for (const hook of ingress.hooks) fargate.registerHook(hook);
  const services: readonly Service[] = [
    ecs,
    eks,
    eks.auth,
    createEcrService({ registry, toolbox, config }),
    createEc2Service({ network: network.admin, toolbox }),
    elbv2,
    createLogsService({ logStore, toolbox }),
    createIamService({ store, clock, ids }),
    createStsService({ issuer: credentials, keys: createIssuerKeys({ clock, own: (issuer) => eks.issuers.keysOf(issuer) }) }),
  ];
  const controllers = [
    ...services.flatMap((service) => service.controllers ?? []),
    ...(config.engine === "simulated" ? [createSimulatedAdmission(podPorts)] : [...kubelet.controllers, ...ingress.controllers]),
    ...fargate.controllers,
  ];
  return {
    store,
    disk,
    supervisor,
    ...runtime,
    network,
    registry,
    logStore,
    collector,
    loadBalancers,
    fargate,
    ecs,
    eks,
    kubelet,
    credentials,
    services,
    controllers,
  };
}

async function openRuntime(
  config: InstanceConfig,
  parts: Toolbox & { readonly supervisor: DaemonSupervisor; readonly disk: DiskGuard },
): Promise<{ readonly runtime: ContainerRuntime; readonly cri?: CriRuntime }> {
  if (config.engine === "simulated") return { runtime: createSimulatedRuntime(parts) };
  const cri = await createCriRuntime({ ...parts, config, registryPort: config.port });
  return { runtime: cri, cri };
}
