import type { V1Container, V1PodSpec, V1SecurityContext, V1Volume } from "@kubernetes/client-node";
import { KUBELET_PORT } from "./node-object.ts";

/** Fargate's own default set. */
const ADDABLE = new Set(
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT SYS_PTRACE".split(" "),
);
const VOLUME_TYPES = ["emptyDir", "secret", "configMap", "projected", "downwardAPI"] as const;
/** Fargate has them; they are not built here. */
const LATER_VOLUME_TYPES: readonly string[] = ["nfs", "persistentVolumeClaim"];

/** Why Fargate does not run this pod, in AWS's words and order; empty when it does. Pure. */
export function unsupportedOnFargate(spec: V1PodSpec): readonly string[] {
  const containers = allContainers(spec);
  const host = [spec.hostNetwork && "HostNetwork", spec.hostPID && "HostPID", spec.hostIPC && "HostIPC"].filter((field) => field);
  const volumes = (spec.volumes ?? []).filter((volume) => ![...VOLUME_TYPES, ...LATER_VOLUME_TYPES].includes(typeOf(volume)));
  const security = containers.flatMap(({ securityContext }) => securityFaults(securityContext));
  return [
    ...(host.length > 0 ? [`fields not supported: ${host.join(", ")}`] : []),
    ...(volumes.length > 0 ? [`volumes not supported: ${volumes.map(({ name }) => `${name} is of an unsupported volume Type`).join(", ")}`] : []),
    ...(security.length > 0 ? [`invalid SecurityContext fields: ${security.join(",")}`] : []),
    ...(containers.some(({ volumeDevices = [] }) => volumeDevices.length > 0) ? ["volumeDevices not supported"] : []),
    ...(containers.some(({ ports = [] }) => ports.some(({ hostPort, hostIP }) => Boolean(hostPort) || Boolean(hostIP)))
      ? ["port contains HostIP or HostPort"]
      : []),
    ...containers.flatMap(portFaults),
  ];
}

/** On AWS the program fails to bind, as the port is taken; here nobody would ever reach it, the pod's own probes neither. */
function portFaults({ name, ports = [] }: V1Container): readonly string[] {
  const isTaken = ports.some(({ containerPort, protocol = "TCP" }) => containerPort === KUBELET_PORT && protocol === "TCP");
  if (!isTaken) return [];
  return [
    `port ${KUBELET_PORT} of container ${name} is reserved: at the pod's address it is the kubelet of the pod's own node. Have the program listen on another one, ` +
      `and say that as its containerPort (metrics-server: --secure-port=10251)`,
  ];
}

/** What Fargate would run and Tidegate does not yet; each by the path of its field. Pure. */
export function notBuiltYet(spec: V1PodSpec): readonly string[] {
  const pod: readonly (readonly [string, unknown])[] = [
    ["runtimeClassName", spec.runtimeClassName],
    ["securityContext.supplementalGroupsPolicy", spec.securityContext?.supplementalGroupsPolicy === "Strict"],
    ["hostnameOverride", spec.hostnameOverride],
    ["resourceClaims", spec.resourceClaims?.length],
    ["resources", spec.resources],
    ["hostUsers", spec.hostUsers === false],
    ["securityContext.windowsOptions", spec.securityContext?.windowsOptions],
    ["securityContext.seccompProfile", isOther(spec.securityContext?.seccompProfile?.type)],
    ["securityContext.appArmorProfile", isOther(spec.securityContext?.appArmorProfile?.type)],
    ["os.name", spec.os !== undefined && spec.os.name !== "linux"],
  ];
  return [
    ...pod.flatMap(([field, isSet]) => (isSet ? [`spec.${field}`] : [])),
    ...(spec.volumes ?? []).flatMap(volumeFaults),
    ...allContainers(spec).flatMap((container) => containerFaults(container).map((field) => `${field} of container ${container.name}`)),
  ];
}

function allContainers({ containers, initContainers = [] }: V1PodSpec): readonly V1Container[] {
  return [...initContainers, ...containers];
}

function typeOf(volume: V1Volume): string {
  return Object.entries(volume).find(([key, value]) => key !== "name" && value !== undefined)?.[0] ?? "emptyDir";
}

/** What of a container's rights Fargate does not give. Pure. */
export function securityFaults(context: V1SecurityContext | undefined): readonly string[] {
  if (context === undefined) return [];
  const added = (context.capabilities?.add ?? []).filter((name) => !ADDABLE.has(name.replace(/^CAP_/, "")));
  return [
    ...(context.privileged ? ["Privileged"] : []),
    ...(context.allowPrivilegeEscalation ? ["AllowPrivilegeEscalation"] : []),
    ...(added.length > 0 ? [`Capabilities added: ${added.join(", ")}`] : []),
  ];
}

function isOther(type: string | undefined): boolean {
  return type !== undefined && type !== "RuntimeDefault";
}

function volumeFaults(volume: V1Volume): readonly string[] {
  const type = typeOf(volume);
  const what = (field: string): string => `${field} of volume ${volume.name}`;
  const sources = volume.projected?.sources ?? [];
  return [
    ...(LATER_VOLUME_TYPES.includes(type) ? [what(type)] : []),
    ...(volume.emptyDir?.medium && volume.emptyDir.medium !== "Memory" ? [what("emptyDir.medium")] : []),
    ...sources.flatMap((source) => {
      const other = Object.keys(source).filter((key) => !["serviceAccountToken", "configMap", "secret", "downwardAPI"].includes(key));
      return other.filter((key) => source[key as keyof typeof source] !== undefined).map((key) => what(`projected ${key}`));
    }),
  ];
}

/** What of a container Fargate would run and Tidegate does not yet; by its fields' paths. Pure. */
export function containerFaults(container: V1Container): readonly string[] {
  const { securityContext: context, lifecycle } = container;
  const facts: readonly (readonly [string, unknown])[] = [
    ["env.valueFrom.fileKeyRef", container.env?.some(({ valueFrom }) => valueFrom?.fileKeyRef)],
    ["volumeMounts.recursiveReadOnly", container.volumeMounts?.some((mount) => mount.recursiveReadOnly === "Enabled")],
    ["restartPolicyRules of action RestartAllContainers", container.restartPolicyRules?.some(({ action }) => action !== "Restart")],
    ["resources.claims", container.resources?.claims?.length],
    ["lifecycle.stopSignal", lifecycle?.stopSignal],
    ["securityContext.procMount", context?.procMount && context.procMount !== "Default"],
    ["securityContext.windowsOptions", context?.windowsOptions],
    ["securityContext.seccompProfile", isOther(context?.seccompProfile?.type)],
    ["securityContext.appArmorProfile", isOther(context?.appArmorProfile?.type)],
  ];
  return facts.flatMap(([field, isSet]) => (isSet ? [field] : []));
}
