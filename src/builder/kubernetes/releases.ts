/** Upstream's own releases of what a cluster runs, as archives: where they are, and which programs are taken out of them. */

/** The upstream releases that clusters run, without the leading `v`. */
export const RELEASES = { kubernetes: "1.36.3", etcd: "3.6.8", coredns: "1.14.2" } as const;

export interface ReleaseArchive {
  /** Of the file, e.g. `etcd-v3.6.8-linux-amd64.tar.gz`. */
  readonly name: string;
  readonly url: string;
  /** Where its publisher says its digest: alone, or in a line with the file's name. */
  readonly sums: { readonly url: string; readonly algorithm: "sha256" | "sha512" };
  /** Paths in it; a program goes by the last part. */
  readonly members: readonly string[];
}

const KUBERNETES_HOST = "https://dl.k8s.io";
const GITHUB_HOST = "https://github.com";

/**
 * All archives that a cluster needs, of this architecture. A mirror (e.g. `https://mirror.example/releases`) has the paths of all their publishers beneath
 * one address. Pure.
 */
export function releaseArchives({ architecture, mirror }: { readonly architecture: string; readonly mirror?: string }): readonly ReleaseArchive[] {
  const at = (host: string): string => (mirror === undefined ? host : mirror.replace(/\/+$/, ""));
  const arch = architecture === "x64" ? "amd64" : architecture;
  const server = `${at(KUBERNETES_HOST)}/v${RELEASES.kubernetes}/kubernetes-server-linux-${arch}.tar.gz`;
  const etcd = `etcd-v${RELEASES.etcd}-linux-${arch}`;
  const etcdAt = `${at(GITHUB_HOST)}/etcd-io/etcd/releases/download/v${RELEASES.etcd}`;
  const coredns = `coredns_${RELEASES.coredns}_linux_${arch}.tgz`;
  const corednsAt = `${at(GITHUB_HOST)}/coredns/coredns/releases/download/v${RELEASES.coredns}`;
  return [
    {
      name: `kubernetes-server-linux-${arch}.tar.gz`,
      url: server,
      sums: { url: `${server}.sha512`, algorithm: "sha512" },
      members: ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((program) => `kubernetes/server/bin/${program}`),
    },
    {
      name: `${etcd}.tar.gz`,
      url: `${etcdAt}/${etcd}.tar.gz`,
      sums: { url: `${etcdAt}/SHA256SUMS`, algorithm: "sha256" },
      members: [`${etcd}/etcd`, `${etcd}/etcdutl`],
    },
    {
      name: coredns,
      url: `${corednsAt}/${coredns}`,
      sums: { url: `${corednsAt}/${coredns}.sha256`, algorithm: "sha256" },
      members: ["coredns"],
    },
  ];
}

/** The digest of this file that the text of its publisher has, in lower-case hex digits. Pure. */
export function digestIn(text: string, { name, sums: { algorithm } }: ReleaseArchive): string | undefined {
  const digits = algorithm === "sha256" ? 64 : 128;
  const lines = text.trim().split("\n");
  const line = lines.length === 1 ? lines[0] : lines.find((each) => each.split(/[\s*]+/)[1] === name);
  const [digest = ""] = line?.split(/\s+/) ?? [];
  return new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(digest) ? digest.toLowerCase() : undefined;
}
