import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../host/run.ts";
import { fetchReleases, releaseFolder } from "./fetch-release.ts";
import { describeSource, lookForKubernetes } from "./look.ts";
import { obtainKubernetes } from "./obtain.ts";
import { digestIn, releaseArchives } from "./releases.ts";

/** A mirror of small archives in upstream's layout, on this host. */

let folder: string;
let server: Server;
let mirror: string;
let published: ReadonlyMap<string, Buffer>;
/** What the mirror has, by path. */
let files: Map<string, Buffer>;
/** Paths whose answers end half way. */
let cut: Set<string>;
let cacheFolder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-releases-"));
  server = createServer((request, response) => {
    const file = files.get(request.url ?? "");
    if (file === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "content-length": file.length });
    if (!cut.has(request.url ?? "")) return response.end(file);
    return response.write(file.subarray(0, file.length / 2), () => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/releases/`;
  published = await publish();
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  files = new Map(published);
  cut = new Set();
  cacheFolder = await mkdtemp(join(folder, "cache-"));
});

const archives = () => releaseArchives({ architecture: process.arch, mirror });
const pathOf = (url: string): string => new URL(url).pathname;

/** Each archive with programs that say their names, one that nobody asked for, and the digests as each publisher writes them. */
async function publish(): Promise<ReadonlyMap<string, Buffer>> {
  const made = new Map<string, Buffer>();
  for (const { name, url, members, sums } of archives()) {
    const root = join(folder, `of-${name}`);
    for (const member of [...members, join(dirname(members[0] ?? ""), "unasked")]) {
      await mkdir(dirname(join(root, member)), { recursive: true });
      await writeFile(join(root, member), `#!/bin/sh\necho Kubernetes v1.36.3 ${member}\n`);
      await chmod(join(root, member), 0o600);
    }
    await run(["tar", "-czf", `${root}.tar.gz`, "-C", root, ...(await readdir(root))]);
    const content = await readFile(`${root}.tar.gz`);
    const digest = createHash(sums.algorithm).update(content).digest("hex");
    made.set(pathOf(url), content);
    const text = sums.url.endsWith("SHA256SUMS") ? `${"0".repeat(64)}  other.tar.gz\n${digest}  ${name}\n` : `${digest}\n`;
    made.set(pathOf(sums.url), Buffer.from(text));
  }
  return made;
}

async function obtain(): Promise<{ readonly steps: readonly string[]; readonly outcome: string }> {
  const steps: string[] = [];
  const outcome = await fetchReleases({ cacheFolder, mirror, onStep: (text) => steps.push(text) }).catch((error: Error) => error.message);
  return { steps, outcome };
}

/** Nothing, not even a draft. */
const left = (): Promise<readonly string[]> => readdir(cacheFolder);

describe("upstream's release archives", () => {
  it("are at their publishers, for both architectures", () => {
    expect(releaseArchives({ architecture: "x64" }).map(({ url }) => url)).toEqual([
      "https://dl.k8s.io/v1.36.3/kubernetes-server-linux-amd64.tar.gz",
      "https://github.com/etcd-io/etcd/releases/download/v3.6.8/etcd-v3.6.8-linux-amd64.tar.gz",
      "https://github.com/coredns/coredns/releases/download/v1.14.2/coredns_1.14.2_linux_amd64.tgz",
    ]);
    expect(releaseArchives({ architecture: "arm64" })[0]?.sums.url).toBe("https://dl.k8s.io/v1.36.3/kubernetes-server-linux-arm64.tar.gz.sha512");
  });

  it("are fetched, checked and unpacked once; then they are found, with CoreDNS", async () => {
    expect(describeSource(await lookForKubernetes({ cacheFolder, mirror }))).toBe(
      `1.36.3, to be fetched as upstream's release from ${new URL(mirror).host}`,
    );
    const { steps, outcome } = await obtain();
    expect(outcome).toBe(releaseFolder({ cacheFolder, mirror }));
    expect(steps).toHaveLength(3);
    expect((await readdir(outcome)).toSorted()).toEqual(
      ["coredns", "etcd", "etcdutl", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].toSorted(),
    );
    expect((await run([join(outcome, "kube-scheduler")])).stdout).toBe("Kubernetes v1.36.3 kubernetes/server/bin/kube-scheduler\n");
    files.clear();
    const programs = await obtainKubernetes({ cacheFolder, mirror, onStep: (text) => expect(text).toBe("nothing more to do") });
    expect(programs).toMatchObject({ version: "1.36.3", files: { etcd: join(outcome, "etcd") }, addons: { coredns: join(outcome, "coredns") } });
    expect(describeSource(await lookForKubernetes({ cacheFolder, mirror }))).toBe("1.36.3, upstream's release, fetched before for this host");
  });

  it("are refused by name when their digest is another, and leave nothing", async () => {
    const etcd = archives()[1]?.url ?? "";
    files.set(pathOf(etcd), Buffer.concat([published.get(pathOf(etcd)) ?? Buffer.alloc(0), Buffer.from("x")]));
    expect((await obtain()).outcome).toMatch(
      new RegExp(`^${RegExp.escape(etcd)} is refused: its sha256 digest is [0-9a-f]{64}, and its publisher says`),
    );
    expect(await left()).toEqual([]);
  });

  it("are not taken half, nor without a digest or a program, nor from a host that is away", async () => {
    const [kubernetes] = archives();
    cut.add(pathOf(kubernetes?.url ?? ""));
    expect((await obtain()).outcome).toContain(`${kubernetes?.url} broke off: `);
    cut.clear();
    files.set(pathOf(kubernetes?.sums.url ?? ""), Buffer.from("<html>sign in</html>"));
    expect((await obtain()).outcome).toContain("does not say the sha512 digest of kubernetes-server-linux-");
    files.delete(pathOf(kubernetes?.sums.url ?? ""));
    expect((await obtain()).outcome).toContain("answers 404");
    const away = { cacheFolder, mirror: "http://127.0.0.1:1", onStep: () => {} };
    await expect(fetchReleases(away)).rejects.toThrow("is not reached: ");
    expect(await left()).toEqual([]);
  });

  it("say their digest alone, or among others", () => {
    const [kubernetes, etcd] = archives();
    if (kubernetes === undefined || etcd === undefined) throw new Error("there are archives");
    expect(digestIn(`${"A".repeat(128)}  whatever\n`, kubernetes)).toBe("a".repeat(128));
    expect(digestIn(`${"a".repeat(64)}\n`, kubernetes)).toBeUndefined();
    expect(digestIn(`${"1".repeat(64)}  x\n${"2".repeat(64)} *${etcd.name}\n`, etcd)).toBe("2".repeat(64));
    expect(digestIn(`${"1".repeat(64)}  x\n${"2".repeat(64)}  y\n`, etcd)).toBeUndefined();
  });
});
