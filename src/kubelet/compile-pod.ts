import type {
  V1Container,
  V1EphemeralContainer,
  V1Lifecycle,
  V1LifecycleHandler,
  V1Pod,
  V1PodSpec,
  V1Probe,
  V1VolumeMount,
} from "@kubernetes/client-node";
import type { ContainerSpec, Mount, Probe, ProbeAction, RestartRule, SizeLimit, VolumeSpec, Workload } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";
import { environmentOf, expand, literals, type EnvironmentParts } from "./environment.ts";
import { isOfFiles, volumeFiles } from "./pod-files.ts";
import { ephemeralGiB, parseQuantity } from "./pod-size.ts";
import { logSinkOf } from "./logging/pod-logging.ts";
import type { KubeCluster } from "./ports.ts";
import { type PodPlacement, workloadIdOf } from "./records.ts";
import { type DnsParts, podDns } from "./services/pod-dns.ts";
import { containerFaults, securityFaults } from "./supported.ts";

/** The hook that gives a pod's namespace the services' addresses. */
export const SERVICES_HOOK = "eks-services";
/** The label under which the engine lists pods. */
export const OWNER = "eks-pod";
/** The hook that drains its targets before its containers are told to end. */
export const DRAIN_HOOK = "eks-target-drain";
/** Of the kubelet: CrashLoopBackOff, and ImagePullBackOff. */
const BACKOFF = { initialSeconds: 10, maximumSeconds: 300, resetAfterSeconds: 600 };
const DEFAULT_GRACE_SECONDS = 30;

export interface PodParts extends EnvironmentParts, Pick<DnsParts, "vpc"> {
  readonly cluster: KubeCluster;
  readonly placement: PodPlacement;
  readonly pod: V1Pod;
}

/**
 * A pod as what the compute layer runs, at the address that its placement holds. The same parts give the same workload. Pure.
 * @throws Problem `not-found`, `invalid`: what the pod refers to is not there; in the kubelet's words.
 */
export function compilePod(parts: PodParts): Workload {
  const { cluster, placement, pod } = parts;
  const { spec, metadata } = pod;
  if (spec === undefined || metadata === undefined) throw new Problem("invalid", "the pod has no spec");
  return {
    id: workloadIdOf(placement),
    account: cluster.account,
    region: cluster.region,
    availabilityZone: placement.availabilityZone,
    labels: { owner: OWNER, clusterKey: cluster.key, podUid: placement.uid, namespace: placement.namespace, pod: placement.name },
    runtimeHandler: "runc",
    network: {
      attachmentId: placement.attachmentId,
      kept: true,
      vpcId: cluster.vpcId,
      subnetId: placement.subnetId,
      securityGroupIds: [cluster.clusterGroupId],
      assignPublicIp: false,
    },
    cpuUnits: placement.cpuUnits,
    memoryMiB: placement.memoryMiB,
    ephemeralStorageGiB: ephemeralGiB(spec),
    sharePidNamespace: spec.shareProcessNamespace ?? false,
    ...namesOf(spec, placement),
    hosts: (spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => ({ ip, names: hostnames })),
    dns: podDns(pod, { clusterDns: cluster.dnsAddress, vpc: parts.vpc }),
    sysctls: spec.securityContext?.sysctls ?? [],
    fsGroup: spec.securityContext?.fsGroup,
    containers: [
      ...(spec.initContainers ?? []).map((container) =>
        compileContainer(container, parts, container.restartPolicy === "Always" ? "sidecar" : "init"),
      ),
      ...spec.containers.map((container) => compileContainer(container, parts, "main")),
    ],
    volumes: volumesOf(parts),
    spot: false,
    system: false,
    hooks: [SERVICES_HOOK, DRAIN_HOOK],
    activeDeadlineSeconds: spec.activeDeadlineSeconds,
  };
}

/** A debugger that is added to a pod. Pure. @throws Problem `not-found`, `invalid`, as `compilePod`; `unsupported` for what Fargate forbids. */
export function compileDebugger(debug: V1EphemeralContainer, parts: Omit<PodParts, "vpc">): ContainerSpec {
  const faults = securityFaults(debug.securityContext);
  if (faults.length > 0) throw new Problem("unsupported", `Pod not supported: invalid SecurityContext fields: ${faults.join(",")}`);
  const later = containerFaults(debug);
  if (later.length > 0) throw new Problem("unsupported", `not built yet: ${later.join(", ")}; add a debugger without`);
  return {
    ...compileContainer(debug, parts, "ephemeral"),
    ...(debug.targetContainerName !== undefined && { processesOf: debug.targetContainerName }),
  };
}

function volumesOf(parts: PodParts): readonly VolumeSpec[] {
  const files = volumeFiles(parts);
  return (parts.pod.spec?.volumes ?? []).map(({ name, emptyDir }): VolumeSpec => {
    const own = files[name];
    if (own !== undefined) return { name, type: "files", files: own };
    return { name, type: "ephemeral", sizeLimit: sizeLimitOf(emptyDir?.sizeLimit), ...(emptyDir?.medium === "Memory" && { medium: "memory" }) };
  });
}

/** None is the same as none that could be exceeded. */
function sizeLimitOf(quantity: string | undefined): SizeLimit | undefined {
  const bytes = parseQuantity(quantity ?? "0");
  return quantity === undefined || bytes === 0 ? undefined : { bytes, words: quantity };
}

function compileContainer(container: V1Container, parts: Omit<PodParts, "vpc">, kind: ContainerSpec["kind"]): ContainerSpec {
  const { pod, placement } = parts;
  const context = container.securityContext;
  const podContext = pod.spec?.securityContext;
  const environment = environmentOf(container, parts);
  const known = literals(environment);
  const user = context?.runAsUser ?? podContext?.runAsUser;
  const group = context?.runAsGroup ?? podContext?.runAsGroup;
  const amount = (list: Readonly<Record<string, string>> | undefined, resource: string): number => parseQuantity(list?.[resource] ?? "0");
  const { requests, limits } = container.resources ?? {};
  const cpuLimit = amount(limits, "cpu") * 1024;
  return {
    name: container.name,
    kind,
    image: container.image ?? "",
    pullPolicy: PULL_POLICIES[container.imagePullPolicy ?? "IfNotPresent"] ?? "if-not-present",
    ...(container.command !== undefined && { entryPoint: container.command.map((word) => expand(word, known)) }),
    ...(container.args !== undefined && { command: container.args.map((word) => expand(word, known)) }),
    // With a command of its own a container takes none of the image's arguments.
    ...(container.command !== undefined && container.args === undefined && { command: [] }),
    workingDirectory: container.workingDir,
    environment,
    mounts: (container.volumeMounts ?? []).map((mount) => mountOf(pod, mount, known)),
    essential: false,
    dependsOn: [],
    stopTimeoutSeconds: pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
    restart: restartRule(pod, container, kind),
    ...messageOfEnd(container),
    mustNotBeRoot: context?.runAsNonRoot ?? podContext?.runAsNonRoot ?? false,
    probes: {
      startup: compileProbe(container, container.startupProbe),
      readiness: compileProbe(container, container.readinessProbe),
      liveness: compileProbe(container, container.livenessProbe),
    },
    ...hooksOf(container, container.lifecycle),
    cpuUnits: Math.max(2, Math.round(amount(requests, "cpu") * 1024)),
    ...(cpuLimit > 0 && { cpuLimitUnits: Math.min(Math.round(cpuLimit), placement.cpuUnits) }),
    ephemeralStorageLimit: sizeLimitOf(limits?.["ephemeral-storage"]),
    ...(limits?.["memory"] !== undefined && { memoryMiB: Math.ceil(amount(limits, "memory") / 1024 ** 2) }),
    ...(user !== undefined && { user: group === undefined ? String(user) : `${user}:${group}` }),
    supplementalGroups: podContext?.supplementalGroups,
    addCapabilities: (context?.capabilities?.add ?? []).map((name) => name.replace(/^CAP_/, "")),
    dropCapabilities: context?.capabilities?.drop ?? [],
    readOnlyRootFilesystem: context?.readOnlyRootFilesystem ?? false,
    noNewPrivileges: context?.allowPrivilegeEscalation === false,
    ulimits: [],
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    initProcess: false,
    log: logSinkOf(placement, pod, container),
    ports: (container.ports ?? []).map(({ containerPort, protocol, name }) => ({
      containerPort,
      protocol: protocol === "UDP" ? "udp" : "tcp",
      ...(name !== undefined && { name }),
    })),
    labels: {},
  };
}

const PULL_POLICIES: Readonly<Record<string, ContainerSpec["pullPolicy"]>> = { Always: "always", IfNotPresent: "if-not-present", Never: "never" };

/** Files that are given to a pod are never its own to write. */
function mountOf(
  pod: V1Pod,
  { name, mountPath, readOnly = false, subPath, subPathExpr }: V1VolumeMount,
  known: Readonly<Record<string, string>>,
): Mount {
  const volume = pod.spec?.volumes?.find((each) => each.name === name);
  const path = subPathExpr ? expandWhole(subPathExpr, known) : subPath;
  return {
    volume: name,
    containerPath: mountPath,
    readOnly: readOnly || (volume !== undefined && isOfFiles(volume)),
    ...(path && { subPath: path }),
  };
}

/** @throws Problem `invalid` for a variable that there is not, or that is empty; for a path that would lead out of the volume; in the kubelet's words. */
function expandWhole(text: string, known: Readonly<Record<string, string>>): string {
  const missing = [...text.replaceAll("$$", "").matchAll(/\$\(([^()]*)\)/g)].map(([, name = ""]) => name).find((name) => !known[name]);
  if (missing !== undefined) throw new Problem("invalid", `missing value for "${missing}" of subPathExpr "${text}"`);
  const path = expand(text, known);
  if (path.startsWith("/")) throw new Problem("invalid", `error SubPath \`${path}\` must not be an absolute path`);
  if (path.split("/").includes("..")) throw new Problem("invalid", `unable to provision SubPath \`${path}\`: must not contain '..'`);
  return path;
}

/** Its last words are asked for in a file, unless it says otherwise. */
function messageOfEnd(container: V1Container): Pick<ContainerSpec, "terminationMessagePath" | "terminationMessageFromLog"> {
  return {
    terminationMessagePath: container.terminationMessagePath ?? "/dev/termination-log",
    terminationMessageFromLog: container.terminationMessagePolicy === "FallbackToLogsOnError",
  };
}

/** A pod with a subdomain has a full name, by which others find it where a headless service of that name has it. */
function namesOf(spec: V1PodSpec, { name, namespace }: PodPlacement): Pick<Workload, "hostname" | "fullHostname"> {
  const hostname = (spec.hostname ?? name).slice(0, 63).replace(/[-.]+$/, "");
  if (!spec.subdomain) return { hostname };
  const fullHostname = `${hostname}.${spec.subdomain}.${namespace}.svc.cluster.local`;
  return spec.setHostnameAsFQDN ? { hostname: fullHostname } : { hostname, fullHostname };
}

function restartRule({ spec }: V1Pod, container: V1Container, kind: ContainerSpec["kind"]): RestartRule {
  const policy = kind === "sidecar" ? undefined : (container.restartPolicy ?? spec?.restartPolicy ?? "Always");
  const rules = (container.restartPolicyRules ?? []).flatMap(({ exitCodes }) =>
    exitCodes === undefined ? [] : [{ operator: exitCodes.operator as "In" | "NotIn", values: exitCodes.values ?? [] }],
  );
  return { ...policyRule(policy, kind), ...(rules.length > 0 && { exitCodeRules: rules }) };
}

function policyRule(policy: string | undefined, kind: ContainerSpec["kind"]): RestartRule {
  if (kind === "sidecar") return { policy: "always", backoff: BACKOFF };
  if (kind === "ephemeral") return { policy: "never" };
  if (policy === "Never") return { policy: "never", backoff: BACKOFF };
  return { policy: policy === "OnFailure" || kind === "init" ? "on-failure" : "always", backoff: BACKOFF };
}

function compileProbe(container: V1Container, probe: V1Probe | undefined): Probe | undefined {
  if (probe === undefined) return undefined;
  return {
    action: actionOf(container, probe),
    initialDelaySeconds: probe.initialDelaySeconds ?? 0,
    periodSeconds: probe.periodSeconds ?? 10,
    timeoutSeconds: probe.timeoutSeconds ?? 1,
    failureThreshold: probe.failureThreshold ?? 3,
    successThreshold: probe.successThreshold ?? 1,
    ...(probe.terminationGracePeriodSeconds !== undefined && { stopTimeoutSeconds: probe.terminationGracePeriodSeconds }),
  };
}

function hooksOf(container: V1Container, lifecycle: V1Lifecycle | undefined): Pick<ContainerSpec, "hooks"> {
  if (lifecycle?.postStart === undefined && lifecycle?.preStop === undefined) return {};
  const { postStart, preStop } = lifecycle;
  return {
    hooks: {
      ...(postStart !== undefined && { postStart: actionOf(container, postStart) }),
      ...(preStop !== undefined && { preStop: actionOf(container, preStop) }),
    },
  };
}

function actionOf(container: V1Container, { exec, httpGet, tcpSocket, ...other }: Partial<V1LifecycleHandler & V1Probe>): ProbeAction {
  if (other.grpc !== undefined) return { type: "grpc", port: other.grpc.port, ...(other.grpc.service && { service: other.grpc.service }) };
  if (other.sleep !== undefined) return { type: "sleep", seconds: other.sleep.seconds };
  if (exec !== undefined) return { type: "exec", command: exec.command ?? [] };
  if (httpGet !== undefined) {
    return {
      type: "http",
      port: portOf(container, httpGet.port),
      path: httpGet.path ?? "/",
      scheme: httpGet.scheme === "HTTPS" ? "https" : "http",
      headers: httpGet.httpHeaders ?? [],
      ...(httpGet.host && { host: httpGet.host }),
    };
  }
  return { type: "tcp", port: portOf(container, tcpSocket?.port ?? 0), ...(tcpSocket?.host && { host: tcpSocket.host }) };
}

/** By number, or by the name of one of the container's ports. */
function portOf({ ports = [], name }: V1Container, port: number | string): number {
  const found = typeof port === "number" ? port : (ports.find((each) => each.name === port)?.containerPort ?? Number(port));
  if (!Number.isInteger(found)) throw new Problem("invalid", `container ${name} has no port named ${port}`);
  return found;
}
