import type { ContainerSpec, VolumeSpec, Workload } from "../../../contracts/workload.ts";
import { clusterArn, FRONT_PROXY_CLIENT, issuerOf } from "../names.ts";
import { type ClusterRecord, type ClusterSecrets, type ControlPlaneRecord, snapshotVolumeIdOf, volumeIdOf } from "../records.ts";
import { logSinks } from "./logging.ts";
import { DATA_FOLDER, SOCKET } from "../snapshots/etcd-folder.ts";
import { apiServerFiles, controllerManagerFiles, FOLDER, schedulerFiles, type SecretFile } from "./files.ts";

/** The label under which the engine lists control planes. */
export const OWNER = "eks";
/** Runs before the others, to its end, in a control plane whose objects come back from a snapshot. */
export const RESTORE_CONTAINER = "etcd-restore";
const ETCD_FOLDER = "/var/lib/etcd";
const SNAPSHOT_FOLDER = "/var/lib/etcd-snapshots";
/** The volume that may change while the API server runs. */
export const API_SERVER_FILES = "kube-apiserver";
const ETCD_URL = "http://127.0.0.1:2379";
const ETCD_PEER_URL = "http://127.0.0.1:2380";
/** etcd's own greatest, as on AWS. */
const ETCD_QUOTA_BYTES = 8 * 1024 ** 3;
const CPU_UNITS = 2048;
const MEMORY_MIB = 2048;

export interface ControlPlaneParts {
  readonly cluster: ClusterRecord;
  readonly network: NonNullable<ControlPlaneRecord["network"]>;
  readonly secrets: ClusterSecrets;
  readonly image: { readonly image: string; readonly digest: string };
  readonly workloadId: string;
  /** How the VPC's workloads reach this Tidegate. */
  readonly apiUrl: string;
  /** Of an identity provider whose users are let in, as an AuthenticationConfiguration has it. */
  readonly authenticator?: unknown;
  /** The file that etcd's data are made of first; they must not be there. */
  readonly snapshot?: string;
}

/**
 * A cluster's control plane as one system workload: etcd and Kubernetes' three programs, which find each other on the loopback of their
 * sandbox. The same parts give the same workload. It runs on without Tidegate. Pure.
 */
export function compileControlPlane(parts: ControlPlaneParts): Workload {
  const { cluster, network, secrets, image, workloadId, snapshot } = parts;
  const { vpc } = cluster;
  return {
    id: workloadId,
    account: cluster.account,
    region: cluster.region,
    availabilityZone: vpc.endpointSubnet.availabilityZone,
    labels: { owner: OWNER, clusterArn: clusterArn(cluster), clusterUid: cluster.uid },
    runtimeHandler: "runc",
    network: {
      attachmentId: cluster.attachmentId,
      kept: true,
      vpcId: vpc.vpcId,
      subnetId: vpc.endpointSubnet.subnetId,
      securityGroupIds: groupIdsOf(cluster, network),
      assignPublicIp: false,
    },
    cpuUnits: CPU_UNITS,
    memoryMiB: MEMORY_MIB,
    ephemeralStorageGiB: 20,
    sharePidNamespace: false,
    hosts: [],
    sysctls: [],
    containers: withLogs(parts, [
      ...(snapshot === undefined ? [] : [restoreEtcd(image, snapshot)]),
      etcd(image),
      apiServer(parts),
      controllerManager(image),
      scheduler(image),
    ]),
    volumes: [
      { name: "etcd", type: "persistent", id: volumeIdOf(cluster) },
      { name: "etcd-snapshots", type: "persistent", id: snapshotVolumeIdOf(cluster) },
      files(API_SERVER_FILES, apiServerFiles(cluster, secrets, parts)),
      files("kube-controller-manager", controllerManagerFiles(secrets)),
      files("kube-scheduler", schedulerFiles(secrets)),
    ],
    spot: false,
    system: true,
    hooks: [],
  };
}

/** Of the API server's interface. */
export function groupIdsOf(
  { vpc }: ClusterRecord,
  network: Pick<ControlPlaneParts["network"], "clusterGroupId" | "endpointGroupId">,
): readonly string[] {
  return [network.clusterGroupId, network.endpointGroupId, ...vpc.securityGroupIds];
}

function withLogs(parts: ControlPlaneParts, containers: readonly ContainerSpec[]): readonly ContainerSpec[] {
  const sinks = logSinks(parts);
  return containers.map((each) => ({ ...each, log: sinks[each.name] ?? each.log }));
}

type Image = ControlPlaneParts["image"];

/** Which the data belong to, new ones and those of a snapshot. */
const MEMBER = {
  name: "etcd",
  // etcd makes it, open to nobody else.
  "data-dir": `${ETCD_FOLDER}/${DATA_FOLDER}`,
  "initial-advertise-peer-urls": ETCD_PEER_URL,
  "initial-cluster": `etcd=${ETCD_PEER_URL}`,
};

/** By upstream's own tool, which checks the snapshot's digest. */
function restoreEtcd(image: Image, snapshot: string): ContainerSpec {
  return {
    ...container(RESTORE_CONTAINER, image, {
      command: ["etcdutl", "snapshot", "restore", `${SNAPSHOT_FOLDER}/${snapshot}`, ...flags("", MEMBER).slice(1)],
      mounts: [
        { volume: "etcd", containerPath: ETCD_FOLDER, readOnly: false },
        { volume: "etcd-snapshots", containerPath: SNAPSHOT_FOLDER, readOnly: true },
      ],
    }),
    kind: "init",
    restart: { policy: "never" },
  };
}

function etcd(image: Image): ContainerSpec {
  return container("etcd", image, {
    command: flags("etcd", {
      ...MEMBER,
      // By the socket Tidegate takes snapshots.
      "listen-client-urls": `${ETCD_URL},unix://${ETCD_FOLDER}/${SOCKET}`,
      "advertise-client-urls": ETCD_URL,
      "listen-peer-urls": ETCD_PEER_URL,
      "quota-backend-bytes": ETCD_QUOTA_BYTES,
    }),
    mounts: [{ volume: "etcd", containerPath: ETCD_FOLDER, readOnly: false }],
  });
}

function apiServer({ cluster, network, image, secrets }: ControlPlaneParts): ContainerSpec {
  const issuer = issuerOf(cluster);
  return container("kube-apiserver", image, {
    command: flags("kube-apiserver", {
      "etcd-servers": ETCD_URL,
      "secure-port": 443,
      "advertise-address": network.address,
      "tls-cert-file": `${FOLDER}/api-server.crt`,
      "tls-private-key-file": `${FOLDER}/api-server.key`,
      "client-ca-file": `${FOLDER}/ca.crt`,
      "kubelet-client-certificate": `${FOLDER}/kubelet-client.crt`,
      "kubelet-client-key": `${FOLDER}/kubelet-client.key`,
      "kubelet-certificate-authority": `${FOLDER}/ca.crt`,
      "kubelet-preferred-address-types": "InternalIP",
      ...(secrets.frontProxy !== undefined && aggregation()),
      "service-account-issuer": issuer,
      "service-account-signing-key-file": `${FOLDER}/service-accounts.key`,
      "service-account-key-file": `${FOLDER}/service-accounts.pub`,
      "api-audiences": `${issuer},https://kubernetes.default.svc`,
      "service-cluster-ip-range": cluster.serviceCidr,
      "authorization-config": `${FOLDER}/authorization.json`,
      "enable-admission-plugins": "NodeRestriction",
      "authentication-config": `${FOLDER}/authentication.json`,
      "authentication-token-webhook-config-file": `${FOLDER}/token-review.json`,
      "authentication-token-webhook-version": "v1",
      // A token that has expired is not long taken for good.
      "authentication-token-webhook-cache-ttl": "10s",
      "encryption-provider-config": `${FOLDER}/encryption.json`,
      ...(cluster.logging?.includes("audit") && { "audit-policy-file": `${FOLDER}/audit-policy.json`, "audit-log-path": "-" }),
      "allow-privileged": true,
      // Else its end waits for the watches of its clients, which do not end, until it is killed.
      "shutdown-send-retry-after": true,
      profiling: false,
    }),
    mounts: [{ volume: "kube-apiserver", containerPath: FOLDER, readOnly: true }],
    dependsOn: [{ container: "etcd", condition: "started" }],
    ports: [{ containerPort: 443, protocol: "tcp", name: "https" }],
    probes: {
      liveness: {
        action: { type: "http", scheme: "https", port: 443, path: "/livez" },
        initialDelaySeconds: 60,
        periodSeconds: 10,
        timeoutSeconds: 15,
        failureThreshold: 8,
        successThreshold: 1,
      },
    },
  });
}

/** APIs behind the API server, e.g. metrics-server's. Nothing translates services' addresses here: their endpoints are dialled. */
function aggregation(): Readonly<Record<string, string | boolean>> {
  return {
    "enable-aggregator-routing": true,
    "proxy-client-cert-file": `${FOLDER}/front-proxy-client.crt`,
    "proxy-client-key-file": `${FOLDER}/front-proxy-client.key`,
    "requestheader-client-ca-file": `${FOLDER}/front-proxy-ca.crt`,
    "requestheader-allowed-names": FRONT_PROXY_CLIENT,
    "requestheader-username-headers": "X-Remote-User",
    "requestheader-group-headers": "X-Remote-Group",
    "requestheader-extra-headers-prefix": "X-Remote-Extra-",
  };
}

function controllerManager(image: Image): ContainerSpec {
  return container("kube-controller-manager", image, {
    command: flags("kube-controller-manager", {
      kubeconfig: `${FOLDER}/kubeconfig.json`,
      "bind-address": "127.0.0.1",
      // There is never a second one.
      "leader-elect": false,
      "use-service-account-credentials": true,
      "service-account-private-key-file": `${FOLDER}/service-accounts.key`,
      "root-ca-file": `${FOLDER}/ca.crt`,
      // While Tidegate is away no node is renewed and all of them go on; those that are lost, it removes itself.
      "node-monitor-grace-period": "24h",
      "cluster-signing-cert-file": `${FOLDER}/ca.crt`,
      "cluster-signing-key-file": `${FOLDER}/ca.key`,
      profiling: false,
    }),
    mounts: [{ volume: "kube-controller-manager", containerPath: FOLDER, readOnly: true }],
    dependsOn: [{ container: "kube-apiserver", condition: "started" }],
  });
}

function scheduler(image: Image): ContainerSpec {
  return container("kube-scheduler", image, {
    command: flags("kube-scheduler", {
      kubeconfig: `${FOLDER}/kubeconfig.json`,
      "bind-address": "127.0.0.1",
      "leader-elect": false,
      profiling: false,
    }),
    mounts: [{ volume: "kube-scheduler", containerPath: FOLDER, readOnly: true }],
    dependsOn: [{ container: "kube-apiserver", condition: "started" }],
  });
}

type Particulars = Pick<ContainerSpec, "command" | "mounts"> & Partial<Pick<ContainerSpec, "dependsOn" | "ports" | "probes">>;

/** One that is run again whenever it ends, soon at first. */
function container(name: string, { image, digest }: Image, particulars: Particulars): ContainerSpec {
  return {
    name,
    kind: "main",
    image,
    imageDigest: digest,
    pullPolicy: "if-not-present",
    environment: [],
    essential: false,
    dependsOn: [],
    stopTimeoutSeconds: 30,
    restart: { policy: "always", backoff: { initialSeconds: 1, maximumSeconds: 30, resetAfterSeconds: 60 } },
    probes: {},
    cpuUnits: CPU_UNITS / 4,
    addCapabilities: [],
    dropCapabilities: [],
    readOnlyRootFilesystem: false,
    noNewPrivileges: true,
    ulimits: [],
    tty: false,
    stdin: false,
    initProcess: false,
    log: { type: "none" },
    ports: [],
    labels: {},
    ...particulars,
  };
}

function flags(program: string, values: Readonly<Record<string, string | number | boolean>>): readonly string[] {
  return [program, ...Object.entries(values).map(([name, value]) => `--${name}=${value}`)];
}

function files(name: string, content: readonly SecretFile[]): VolumeSpec {
  return { name, type: "files", files: content };
}
