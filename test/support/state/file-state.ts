/** Files under the instance's folders, beside what the store says. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../../../src/contracts/store.ts";
import { PLACEMENTS, STATUSES } from "../../../src/fargate/records.ts";
import { loadBalancerRecords } from "../../../src/loadbalancer/records.ts";
import { streams } from "../../../src/logstore/records.ts";
import { BLOB_LINKS, MANIFESTS, UPLOADS } from "../../../src/registry/records.ts";
import type { Expected } from "./lines.ts";

interface InstanceFolders {
  readonly dataDir: string;
  readonly runDir: string;
}

/** What may lie in the folders themselves; a new room that keeps files there adds its own. */
const DATA = [
  "before-upgrade",
  "builder",
  "containerd",
  "containerd-config",
  "credentials.json",
  "haproxy",
  "instance.json",
  "kept-logs",
  "last-start.json",
  "log",
  "logs",
  "mounts",
  "registry",
  "sandboxes",
  "tidegate.db",
  "tidegate.db-shm",
  "tidegate.db-wal",
  "tidegate.log",
  "volumes",
  "workloads",
];
const RUN = ["containerd", "containerd.sock", "containerd.sock.ttrpc", "daemons", "data-dir", "oom", "runc", "server.json"];
/** Sockets and configurations of daemons, which are looked at by their processes. */
const RUN_OF_DAEMONS = /^(dns-[0-9a-f]{8}(\.sock|-[0-9a-f]{8}\.conf)|lb-vpc-[0-9a-f]+(-m)?\.sock)$/;

export async function expectedFiles(store: Store, warm: readonly string[]): Promise<Expected> {
  const [statuses, placements, logStreams, uploads, links, manifests, balancers] = await Promise.all([
    store.list(STATUSES),
    store.list(PLACEMENTS),
    store.list(streams),
    store.list(UPLOADS),
    store.list(BLOB_LINKS),
    store.list(MANIFESTS),
    store.list(loadBalancerRecords),
  ]);
  const active = statuses.filter(({ value }) => value.state !== "STOPPED");
  const digests = new Set([...links, ...manifests].map(({ value }) => value.digest));
  return {
    must: [
      ...active.map(({ key }) => `workloads/${key}`),
      ...placements.map(({ value }) => `sandboxes/${value.sandboxName}`),
      ...uploads.map(({ key }) => `upload ${key}`),
      ...[...digests].map((digest) => `blob ${digest}`),
    ],
    may: [
      // A sandbox that nobody has yet has no log.
      ...warm.map((name) => `sandboxes/${name}`),
      // A stream without an event has no folder yet.
      ...logStreams.map(({ value }) => `logs/${value.id}`),
      // Of pods alone.
      ...statuses.map(({ key }) => `kept-logs/${key}`),
      ...new Set(balancers.map(({ value }) => `haproxy/${value.vpcId}`)),
      // A workload without a subPath has none.
      ...active.map(({ key }) => `mounts/${key}`),
      ...DATA,
      ...RUN.map((name) => `run/${name}`),
    ],
  };
}

/** `blobs`: whether those that no repository has are told of; they are the garbage collection's, after its grace. */
export async function observedFiles(
  store: Store,
  { dataDir, runDir }: InstanceFolders,
  options: { readonly blobs: boolean },
): Promise<readonly string[]> {
  const [data, inRun, workloads, mounts, sandboxes, keptLogs, logs, uploads, temporary, blobs, haproxy] = await Promise.all([
    namesIn(dataDir),
    namesIn(runDir),
    namesIn(join(dataDir, "workloads")),
    namesIn(join(dataDir, "mounts")),
    namesIn(join(dataDir, "sandboxes")),
    namesIn(join(dataDir, "kept-logs")),
    namesIn(join(dataDir, "logs")),
    namesIn(join(dataDir, "registry/uploads")),
    namesIn(join(dataDir, "registry/tmp")),
    readdir(join(dataDir, "registry/blobs/sha256"), { recursive: true }).catch(() => []),
    namesIn(join(dataDir, "haproxy")),
  ]);
  const known = new Set([...(await store.list(BLOB_LINKS)), ...(await store.list(MANIFESTS))].map(({ value }) => value.digest));
  const digests = blobs.filter((path) => path.includes("/")).map((path) => `sha256:${path.slice(path.indexOf("/") + 1)}`);
  const drafts = await Promise.all(
    ["log", "containerd-config", ...haproxy.map((vpc) => `haproxy/${vpc}`)].map((folder) => draftsIn(join(dataDir, folder))),
  );
  return [
    ...data,
    ...inRun.filter((name) => !RUN_OF_DAEMONS.test(name)).map((name) => `run/${name}`),
    ...workloads.map((name) => `workloads/${name}`),
    ...mounts.map((name) => `mounts/${name}`),
    ...sandboxes.map((name) => `sandboxes/${name}`),
    ...keptLogs.map((id) => `kept-logs/${id}`),
    ...logs.filter((name) => /^[0-9a-f]{32}$/.test(name)).map((name) => `logs/${name}`),
    ...uploads.map((name) => `upload ${name}`),
    ...temporary.map((name) => `registry/tmp/${name}`),
    ...digests.filter((digest) => options.blobs || known.has(digest)).map((digest) => `blob ${digest}`),
    ...haproxy.map((name) => `haproxy/${name}`),
    ...[...drafts.flat(), ...(await draftsIn(runDir))].map((path) => `draft ${path}`),
  ];
}

/** What a write that was cut off left. */
async function draftsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return names.filter((entry) => /\.(tmp|new)$/.test(entry.name)).map((entry) => join(folder, entry.name));
}

function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}
