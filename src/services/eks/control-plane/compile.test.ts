import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { seededIds } from "../../../core/ids.ts";
import { keySet } from "../access/issuer.ts";
import type { ClusterSecrets } from "../records.ts";
import { testCluster } from "../testing.ts";
import { compileControlPlane } from "./compile.ts";
import { createSecrets, renewSecrets } from "./secrets.ts";

const cluster = testCluster();
const tools = { nowMs: Date.UTC(2026, 0, 1), ids: seededIds("eks") };
const IMAGE = { image: "kubernetes.tidegate.internal/control-plane:1.36.3", digest: `sha256:${"ab".repeat(32)}` };
const network = { address: "10.0.0.9", clusterGroupId: "sg-cluster", endpointGroupId: "sg-endpoint" };
let secrets: ClusterSecrets;

beforeAll(async () => {
  secrets = await createSecrets(cluster, network.address, tools);
});

describe("a cluster's certificates", () => {
  it("are the authority's, for the addresses and names that clients use, and tell Kubernetes who its programs are", () => {
    const authority = new X509Certificate(secrets.authority.certificate);
    const leaf = (name: keyof ClusterSecrets["leaves"]): X509Certificate => new X509Certificate(secrets.leaves[name].certificate);
    expect(authority.ca).toBe(true);
    expect(authority.subject).toBe("CN=kubernetes");
    for (const name of Object.keys(secrets.leaves) as (keyof ClusterSecrets["leaves"])[]) {
      expect(leaf(name).verify(authority.publicKey)).toBe(true);
      expect(leaf(name).ca).toBe(false);
    }
    for (const address of ["10.0.0.9", "10.100.0.1", "127.0.0.1"]) expect(leaf("api-server").checkIP(address)).toBe(address);
    expect(leaf("api-server").checkHost("kubernetes.default.svc")).toBeDefined();
    expect(leaf("api-server").checkIP("10.0.0.8")).toBeUndefined();
    expect(leaf("controller-manager").subject).toBe("CN=system:kube-controller-manager");
    expect(leaf("scheduler").subject).toBe("CN=system:kube-scheduler");
  });

  it("are renewed under the same authority", async () => {
    const later = { ...tools, nowMs: tools.nowMs + 1e10 };
    const renewed = await renewSecrets(cluster, { secrets, address: network.address }, later);
    expect(renewed.frontProxy?.authority).toEqual(secrets.frontProxy?.authority);
    const certificate = new X509Certificate(renewed.leaves["api-server"].certificate);
    expect(certificate.verify(new X509Certificate(secrets.authority.certificate).publicKey)).toBe(true);
    expect(certificate.validToDate.getTime()).toBe(renewed.leavesEndMs);
    expect(renewed.leavesEndMs).toBeGreaterThan(secrets.leavesEndMs);
  });
});

describe("the key of service accounts' tokens", () => {
  it("is replaced with the certificates, and tokens of all before it are good still, to the API server and to who asks the issuer", async () => {
    const address = network.address;
    const once = await renewSecrets(cluster, { secrets, address }, tools);
    const twice = await renewSecrets(cluster, { secrets: once, address }, tools);
    const publicOf = (key: string): string => createPublicKey(createPrivateKey(key)).export({ type: "spki", format: "pem" });
    const all = [twice, once, secrets].map(({ serviceAccountKey }) => publicOf(serviceAccountKey));
    expect(new Set(all).size).toBe(3);
    const { volumes } = compileControlPlane({ cluster, network, secrets: twice, image: IMAGE, workloadId: "w", apiUrl: "http://169.254.171.2:4566" });
    const files = volumes.flatMap((volume) => (volume.type === "files" ? volume.files.map((file) => ({ volume: volume.name, ...file })) : []));
    const read = (name: string): readonly unknown[] => files.filter(({ path }) => path === name).map((file) => "value" in file && file.value);
    expect(read("service-accounts.pub")).toEqual([all.join("")]);
    // The API server and the controller manager sign.
    expect(read("service-accounts.key")).toEqual([twice.serviceAccountKey, twice.serviceAccountKey]);
    expect(JSON.stringify(twice)).not.toContain(JSON.stringify(once.serviceAccountKey).slice(1, -1));
    const kids = ({ keys }: ReturnType<typeof keySet>): readonly unknown[] => keys.map(({ kid }) => kid);
    expect(kids(keySet(twice))).toHaveLength(3);
    expect(kids(keySet(twice)).slice(1)).toEqual(kids(keySet(once)));
    expect(kids(keySet(once)).slice(1)).toEqual(kids(keySet(secrets)));
  });
});

describe("the front proxy's certificates", () => {
  it("are of an authority of their own, whose key nobody gets, and are issued to clusters of earlier versions", async () => {
    const { frontProxy } = secrets;
    const authority = new X509Certificate(frontProxy?.authority.certificate ?? "");
    expect(new X509Certificate(frontProxy?.client.certificate ?? "").verify(authority.publicKey)).toBe(true);
    expect(authority.verify(new X509Certificate(secrets.authority.certificate).publicKey)).toBe(false);
    const { volumes } = compileControlPlane({ cluster, network, secrets, image: IMAGE, workloadId: "w", apiUrl: "http://169.254.171.2:4566" });
    expect(JSON.stringify(volumes)).not.toContain(JSON.stringify(frontProxy?.authority.key).slice(1, -1));
    const { frontProxy: _none, ...before } = secrets;
    const { frontProxy: issued } = await renewSecrets(cluster, { secrets: before, address: network.address }, tools);
    expect(issued?.client.certificate).toContain("CERTIFICATE");
  });
});

describe("a cluster's control plane", () => {
  const compile = (): ReturnType<typeof compileControlPlane> =>
    compileControlPlane({ cluster, network, secrets, image: IMAGE, workloadId: "w", apiUrl: "http://169.254.171.2:4566" });

  it("is one system workload at the cluster's own address, the same for the same cluster", () => {
    const workload = compile();
    expect(compile()).toEqual(workload);
    expect(workload).toMatchObject({ id: "w", system: true, network: { attachmentId: "attachment-1", kept: true } });
    expect(workload.network.securityGroupIds).toEqual(["sg-cluster", "sg-endpoint", "sg-own"]);
    expect(workload.containers.map(({ name }) => name)).toEqual(["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    for (const container of workload.containers) expect(container).toMatchObject({ essential: false, restart: { policy: "always" } });
  });

  it("is preceded by upstream's tool where etcd's data come from a snapshot", () => {
    const parts = { cluster, network, secrets, image: IMAGE, workloadId: "w", apiUrl: "http://169.254.171.2:4566" };
    const { containers } = compileControlPlane({ ...parts, snapshot: "2026-01-01T00-00-00Z.db" });
    const [restore, etcd] = containers;
    expect(restore).toMatchObject({ name: "etcd-restore", kind: "init", restart: { policy: "never" } });
    expect(restore?.command?.slice(0, 4)).toEqual(["etcdutl", "snapshot", "restore", "/var/lib/etcd-snapshots/2026-01-01T00-00-00Z.db"]);
    // For the member that etcd then is.
    for (const flag of restore?.command?.slice(4) ?? []) expect(etcd?.command).toContain(flag);
    expect(containers.slice(1)).toEqual(compile().containers);
  });

  it("keeps etcd to itself, with none of the keys beside its data", () => {
    const { containers, volumes } = compile();
    const etcd = containers[0];
    expect(etcd?.mounts.map(({ volume }) => volume)).toEqual(["etcd"]);
    expect(etcd?.command?.filter((flag) => flag.startsWith("--listen-"))).toEqual([
      "--listen-client-urls=http://127.0.0.1:2379,unix:///var/lib/etcd/client.sock",
      "--listen-peer-urls=http://127.0.0.1:2380",
    ]);
    expect(volumes[0]).toEqual({ name: "etcd", type: "persistent", id: `eks-${cluster.uid}` });
    const files = volumes.flatMap((volume) => (volume.type === "files" ? volume.files.map((file) => ({ volume: volume.name, ...file })) : []));
    expect(files.every(({ mode }) => mode === 0o400)).toBe(true);
    const holding = (secret: string): readonly string[] =>
      files.filter((file) => "value" in file && file.value.includes(secret)).map(({ volume, path }) => `${volume}/${path}`);
    expect(holding(secrets.encryptionKey)).toEqual(["kube-apiserver/encryption.json"]);
    expect(holding(secrets.authority.key)).toEqual(["kube-controller-manager/ca.key"]);
    expect(holding(secrets.reviewSecret)).toEqual(["kube-apiserver/token-review.json", "kube-apiserver/access-review.json"]);
  });
});
