import type {
  V1Container,
  V1ContainerPort,
  V1EnvVarSource,
  V1Lifecycle,
  V1LifecycleHandler,
  V1PodSecurityContext,
  V1PodSpec,
  V1Probe,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Volume,
  V1VolumeMount,
  V1VolumeProjection,
} from "@kubernetes/client-node";

/**
 * What becomes of each field of a pod's spec. `done`: it has its effect. `forbidden`: refused, as Fargate refuses it. `refused`: refused by
 * name, as it is not built. `ignored`: accepted without effect, for the reason given. `open`: accepted, and not built yet; the reason says what follows.
 */
export type FieldState = "done" | "forbidden" | "refused" | { readonly ignored: string } | { readonly open: string };

type States<T> = Readonly<Record<keyof T, FieldState>>;

/** Upstream's types name the fields: one that is missing here is an error of types, and of the test beside this. */
interface FieldStates {
  readonly V1PodSpec: States<V1PodSpec>;
  readonly V1Container: States<V1Container>;
  readonly V1SecurityContext: States<V1SecurityContext>;
  readonly V1PodSecurityContext: States<V1PodSecurityContext>;
  readonly V1Volume: States<V1Volume>;
  readonly V1VolumeMount: States<V1VolumeMount>;
  readonly V1VolumeProjection: States<V1VolumeProjection>;
  readonly V1Probe: States<V1Probe>;
  readonly V1Lifecycle: States<V1Lifecycle>;
  readonly V1LifecycleHandler: States<V1LifecycleHandler>;
  readonly V1EnvVarSource: States<V1EnvVarSource>;
  readonly V1ContainerPort: States<V1ContainerPort>;
  readonly V1ResourceRequirements: States<V1ResourceRequirements>;
}

const PLACED_BY_FARGATE = { ignored: "Fargate places its pods itself, each on a node of its own" } as const;
const ALWAYS_CRITICAL = { ignored: "all pods on Fargate are system-node-critical, as on AWS, whatever they ask for" } as const;
const NEW_VOLUMES = { ignored: "a pod's volumes are its own, and new with it" } as const;
const NO_SELINUX: FieldState = { ignored: "nodes are without SELinux, where a runtime labels nothing" };

export const FIELD_STATES: FieldStates = {
  V1PodSpec: {
    activeDeadlineSeconds: "done",
    affinity: PLACED_BY_FARGATE,
    automountServiceAccountToken: "done",
    containers: "done",
    dnsConfig: "done",
    dnsPolicy: "done",
    enableServiceLinks: "done",
    ephemeralContainers: "done",
    hostAliases: "done",
    hostIPC: "forbidden",
    hostNetwork: "forbidden",
    hostPID: "forbidden",
    hostUsers: "refused",
    hostname: "done",
    hostnameOverride: "refused",
    imagePullSecrets: "done",
    initContainers: "done",
    nodeName: { ignored: "the Fargate scheduler binds pods that have none" },
    nodeSelector: PLACED_BY_FARGATE,
    os: "done",
    overhead: { ignored: "it comes of a runtime class, which is refused" },
    preemptionPolicy: ALWAYS_CRITICAL,
    priority: ALWAYS_CRITICAL,
    priorityClassName: ALWAYS_CRITICAL,
    readinessGates: "done",
    resourceClaims: "refused",
    resources: "refused",
    restartPolicy: "done",
    runtimeClassName: "refused",
    schedulerName: "done",
    schedulingGates: "done",
    schedulingGroup: PLACED_BY_FARGATE,
    securityContext: "done",
    serviceAccount: "done",
    serviceAccountName: "done",
    setHostnameAsFQDN: "done",
    shareProcessNamespace: "done",
    subdomain: "done",
    terminationGracePeriodSeconds: "done",
    tolerations: PLACED_BY_FARGATE,
    topologySpreadConstraints: PLACED_BY_FARGATE,
    volumes: "done",
  },
  V1Container: {
    args: "done",
    command: "done",
    env: "done",
    envFrom: "done",
    image: "done",
    imagePullPolicy: "done",
    lifecycle: "done",
    livenessProbe: "done",
    name: "done",
    ports: "done",
    readinessProbe: "done",
    resizePolicy: { ignored: "a pod on Fargate has the size that it was created with: a resize is refused by the API server, with words" },
    resources: "done",
    restartPolicy: "done",
    restartPolicyRules: { open: "by exit codes; the action RestartAllContainers is refused" },
    securityContext: "done",
    startupProbe: "done",
    stdin: "done",
    stdinOnce: { open: "standard input stays open after the first client of `attach` has gone" },
    terminationMessagePath: "done",
    terminationMessagePolicy: "done",
    tty: "done",
    volumeDevices: "forbidden",
    volumeMounts: "done",
    workingDir: "done",
  },
  V1SecurityContext: {
    allowPrivilegeEscalation: "done",
    appArmorProfile: "refused",
    capabilities: "done",
    privileged: "forbidden",
    procMount: "refused",
    readOnlyRootFilesystem: "done",
    runAsGroup: "done",
    runAsNonRoot: "done",
    runAsUser: "done",
    seLinuxOptions: NO_SELINUX,
    seccompProfile: "refused",
    windowsOptions: "refused",
  },
  V1PodSecurityContext: {
    appArmorProfile: "refused",
    fsGroup: "done",
    fsGroupChangePolicy: NEW_VOLUMES,
    runAsGroup: "done",
    runAsNonRoot: "done",
    runAsUser: "done",
    seLinuxChangePolicy: NEW_VOLUMES,
    seLinuxOptions: NO_SELINUX,
    seccompProfile: "refused",
    supplementalGroups: "done",
    supplementalGroupsPolicy: "refused",
    sysctls: "done",
    windowsOptions: "refused",
  },
  V1Volume: {
    awsElasticBlockStore: "forbidden",
    azureDisk: "forbidden",
    azureFile: "forbidden",
    cephfs: "forbidden",
    cinder: "forbidden",
    configMap: "done",
    csi: "forbidden",
    downwardAPI: "done",
    emptyDir: "done",
    ephemeral: "forbidden",
    fc: "forbidden",
    flexVolume: "forbidden",
    flocker: "forbidden",
    gcePersistentDisk: "forbidden",
    gitRepo: "forbidden",
    glusterfs: "forbidden",
    hostPath: "forbidden",
    image: "forbidden",
    iscsi: "forbidden",
    name: "done",
    nfs: "refused",
    persistentVolumeClaim: "refused",
    photonPersistentDisk: "forbidden",
    portworxVolume: "forbidden",
    projected: "done",
    quobyte: "forbidden",
    rbd: "forbidden",
    scaleIO: "forbidden",
    secret: "done",
    storageos: "forbidden",
    vsphereVolume: "forbidden",
  },
  V1VolumeMount: {
    mountPath: "done",
    mountPropagation: { ignored: "nothing is mounted in a pod's volumes by the host; Bidirectional needs privileged mode" },
    name: "done",
    readOnly: "done",
    recursiveReadOnly: "refused",
    subPath: "done",
    subPathExpr: "done",
  },
  V1VolumeProjection: {
    clusterTrustBundle: "refused",
    configMap: "done",
    downwardAPI: "done",
    podCertificate: "refused",
    secret: "done",
    serviceAccountToken: "done",
  },
  V1Probe: {
    exec: "done",
    failureThreshold: "done",
    grpc: "done",
    httpGet: "done",
    initialDelaySeconds: "done",
    periodSeconds: "done",
    successThreshold: "done",
    tcpSocket: "done",
    terminationGracePeriodSeconds: "done",
    timeoutSeconds: "done",
  },
  V1Lifecycle: { postStart: "done", preStop: "done", stopSignal: "refused" },
  V1LifecycleHandler: { exec: "done", httpGet: "done", sleep: "done", tcpSocket: "done" },
  V1EnvVarSource: { configMapKeyRef: "done", fieldRef: "done", fileKeyRef: "refused", resourceFieldRef: "done", secretKeyRef: "done" },
  V1ContainerPort: { containerPort: "done", hostIP: "forbidden", hostPort: "forbidden", name: "done", protocol: "done" },
  V1ResourceRequirements: { claims: "refused", limits: "done", requests: "done" },
};
