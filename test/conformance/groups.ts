/** The files of upstream's tests, by subject: what `npm run test:conformance` takes as its arguments. */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  pods: ["e2e/common/node/", "e2e/node/"],
  volumes: ["e2e/common/storage/", "e2e/storage/"],
  network: ["e2e/common/network/", "e2e/network/"],
  apps: ["e2e/apps/"],
};

/** A test that is not run, by a part of its name, and why. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

const PINNED = "hostPort, and a pod that is sent to the node of another";
const NODE_PORT = "a node's ports lead to its one pod alone: services of type NodePort are not served there";
const HOST = "hostNetwork or hostPath";
const ON_DISK = `${HOST}: its pods keep count on the node's disk`;

/** What Fargate has not, so that no pod on it can pass. */
export const FORBIDDEN: readonly LeftOut[] = [
  { name: "HostPort validates that there is no conflict", why: PINNED },
  { name: "Should recreate evicted statefulset", why: PINNED },
  { name: "KubeletManagedEtcHosts", why: HOST },
  { name: "Granular Checks: Pods should function", why: `${HOST}: its pods are one a node, and ask each other from the nodes` },
  { name: "ImageVolume", why: "volumes of type image" },
  { name: "RuntimeClass should schedule a Pod", why: "runtimeClassName" },
  { name: "pod failure policy to ignore failure matching on DisruptionTarget", why: ON_DISK },
  { name: "pod failure policy on exit code to fail the job early", why: ON_DISK },
  { name: "session affinity work for NodePort service", why: NODE_PORT },
  { name: "switch session affinity for NodePort service", why: NODE_PORT },
  { name: "create a functioning NodePort service", why: NODE_PORT },
  { name: "from ExternalName to NodePort", why: NODE_PORT },
];

/** What could be and is not. */
export const OPEN: readonly LeftOut[] = [{ name: "Pod InPlace Resize", why: "resizing a pod as it runs" }];
