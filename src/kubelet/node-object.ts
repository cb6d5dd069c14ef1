import type { V1Node } from "@kubernetes/client-node";
import type { EngineInfo } from "../contracts/engine.ts";
import type { KubeCluster } from "./ports.ts";
import type { PodPlacement } from "./records.ts";

/** The version of Kubernetes' node side that this one follows. */
const KUBELET_VERSION = "v1.36.3-eks-tidegate";
/** Of a node's address, which is its pod's. */
export const KUBELET_PORT = 10250;

/** e.g. `ip-10-0-1-2.eu-west-1.compute.internal`, as the address is called in the VPC. */
function privateDnsName(address: string, region: string): string {
  const domain = region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`;
  return `ip-${address.replaceAll(".", "-")}.${domain}`;
}

/** The node that a pod has to itself. */
export function nodeNameOf({ address = "", region }: Pick<PodPlacement, "address" | "region">): string {
  return `fargate-${privateDnsName(address, region)}`;
}

/** Tells whose a node is, where an address was given to one pod after another. */
export const POD_UID_ANNOTATION = "tidegate.dev/pod-uid";

interface NodeParts {
  readonly cluster: Pick<KubeCluster, "region">;
  readonly placement: PodPlacement;
  readonly engine: Pick<EngineInfo, "name" | "version" | "machine">;
  readonly nowMs: number;
}

/** The Node object of a pod on Fargate. Differs: its capacity is the pod's size, on AWS the machine's beneath it. Pure. */
export function nodeObject({ cluster, placement, engine, nowMs }: NodeParts): V1Node {
  const { architecture, kernel } = engine.machine;
  const { address = "", availabilityZone, cpuUnits, memoryMiB, uid } = placement;
  const name = nodeNameOf(placement);
  const hostname = privateDnsName(address, cluster.region);
  const capacity = { cpu: `${(cpuUnits * 1000) / 1024}m`, memory: `${memoryMiB}Mi`, "ephemeral-storage": "20Gi", pods: "1" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      annotations: {
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        [POD_UID_ANNOTATION]: uid,
      },
      labels: {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "eks.amazonaws.com/compute-type": "fargate",
        "failure-domain.beta.kubernetes.io/region": cluster.region,
        "failure-domain.beta.kubernetes.io/zone": availabilityZone,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": hostname,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": cluster.region,
        "topology.kubernetes.io/zone": availabilityZone,
      },
    },
    spec: {
      providerID: `aws:///${availabilityZone}/${uid}/${name}`,
      taints: [{ key: "eks.amazonaws.com/compute-type", value: "fargate", effect: "NoSchedule" }],
    },
    status: {
      capacity,
      allocatable: capacity,
      addresses: [
        { type: "InternalIP", address },
        { type: "InternalDNS", address: hostname },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: KUBELET_PORT } },
      conditions: conditions(nowMs),
      nodeInfo: {
        architecture,
        bootID: uid,
        containerRuntimeVersion: `${engine.name}://${engine.version}`,
        kernelVersion: kernel,
        kubeProxyVersion: "",
        kubeletVersion: KUBELET_VERSION,
        machineID: uid.replaceAll("-", ""),
        operatingSystem: "linux",
        osImage: "Tidegate",
        systemUUID: uid,
      },
    },
  };
}

type NodeConditions = NonNullable<NonNullable<V1Node["status"]>["conditions"]>;

function conditions(nowMs: number): NodeConditions {
  const at = new Date(nowMs);
  const times = { lastHeartbeatTime: at, lastTransitionTime: at };
  return [
    { type: "MemoryPressure", status: "False", reason: "KubeletHasSufficientMemory", message: "kubelet has sufficient memory available", ...times },
    { type: "DiskPressure", status: "False", reason: "KubeletHasNoDiskPressure", message: "kubelet has no disk pressure", ...times },
    { type: "PIDPressure", status: "False", reason: "KubeletHasSufficientPID", message: "kubelet has sufficient PID available", ...times },
    { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status", ...times },
  ];
}
