import type { FastifyPluginAsync } from "fastify";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Toolbox } from "../contracts/service.ts";
import type { Store } from "../contracts/store.ts";
import { messageOf } from "../core/problem.ts";
import type { Scope } from "../core/scope.ts";
import { DiskGuard } from "../host/disk-guard.ts";
import { FileBlobStore } from "./blob-store.ts";
import { collectGarbage, type GarbageReport } from "./garbage.ts";
import { LAYER_TOKEN_PARAMETER, registryPlugin } from "./http/plugin.ts";
import { repositoryOf, scopeOf } from "./http/address.ts";
import type { Rooms } from "./http/exchange.ts";
import { Images, manifestUnknown } from "./images.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { type Login, loginRegistryOf, Logins, loginsFor, type RegistryLogin } from "./logins.ts";
import { readManifest } from "./manifest-document.ts";
import { isDigest, parseImageName, PUBLIC_SCOPE, publicRegistryOf, type ImageName, type RepositoryRef } from "./names.ts";
import { isRegistryProblem, RegistryProblem } from "./problems.ts";
import { PullThrough } from "./pull-through.ts";
import type { ManifestRecord } from "./records.ts";
import { Repositories } from "./repositories.ts";
import { Tokens } from "./tokens.ts";
import { Upstream } from "./upstream.ts";
import { Uploads } from "./uploads.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const MINUTE_MS = 60 * 1000;
const LAYER_URL_LIFETIME_MS = 60 * MINUTE_MS;

export interface RegistryConfig extends Scope {
  /** Of the listener; `localhost:<port>` names this registry. */
  readonly port: number;
  /** `localhost:<port>` of these names it too. */
  readonly earlierPorts?: readonly number[];
  /** What was written, looked up or mounted within this time is not collected; default 60. */
  readonly garbageGraceMinutes?: number;
  /** Uploads that nothing was added to for this long end; default 24. */
  readonly uploadExpiryHours?: number;
  /** Base URL (without `/v2/`) of a public registry, to go through a mirror; default HTTPS to the registry itself. */
  readonly upstreamUrlOf?: (registry: string) => string;
}

export interface RegistryOptions extends Toolbox {
  /** Its own folder, on one filesystem. */
  readonly dataDir: string;
  readonly store: Store;
  /** Of the disk that the folder is on; left out, nothing is kept back. */
  readonly disk?: DiskGuard;
  readonly config: RegistryConfig;
}

/** What a tag or digest stands for now. */
export interface ResolvedImage {
  readonly digest: string;
  readonly mediaType: string;
}

/** An OCI distribution 1.1 registry with a blob store. Repositories, images and uploads are also there without HTTP, for ECR's own API. */
export interface Registry {
  /** Routes under `/v2`; register it as it is, so that its parsers and error answers stay its own. */
  readonly plugin: FastifyPluginAsync;
  readonly repositories: Repositories;
  readonly images: Images;
  readonly uploads: Uploads;
  readonly tokens: Tokens;
  /** Of an own repository; `undefined` when there is no such repository or image. */
  resolve(image: Scope & { readonly repository: string; readonly reference: string }): Promise<ResolvedImage | undefined>;
  /**
   * Of an image name as a task definition has it: this registry's, ECR's host names, or a public one (kept here, or asked upstream).
   * @throws RegistryProblem `repository-unknown`, `manifest-unknown`, `upstream-unreachable`, `denied`, `name-invalid`; the message names the image.
   */
  resolveImage(image: string, scope: Scope): Promise<ResolvedImage & { readonly repository: RepositoryRef }>;
  /**
   * As `resolveImage`, of an image at another registry, by the first of the logins that opens it; `undefined` where none of them is for it. The
   * login's token is what this registry takes for reading that image, as long as the process lives.
   * @throws RegistryProblem `manifest-unknown` where none opens it, `upstream-unreachable`.
   */
  resolveByLogin(image: string, logins: readonly RegistryLogin[]): Promise<{ readonly digest: string; readonly password: string } | undefined>;
  /** Path and query that open one blob without a token, for an hour. */
  layerPath(repository: RepositoryRef, digest: string): string;
  /** Stores a blob of a public image, e.g. of `docker.io/library/node`. Idempotent. */
  putPublicBlob(image: string, digest: string, content: Readable): Promise<void>;
  /** Stores a public image's manifest under its name (`node:26-slim`); its blobs must be there. Tags stored so are never asked upstream. */
  putPublicManifest(image: string, manifest: { readonly bytes: Uint8Array; readonly mediaType?: string }): Promise<ResolvedImage>;
  /** The kept public images: `docker.io/library/node:26-slim` with its digest. */
  listPublicImages(): Promise<readonly (ResolvedImage & { readonly image: string; readonly sizeBytes: number })[]>;
  /** Forgets a kept public image. @throws RegistryProblem `manifest-unknown`. */
  deletePublicImage(image: string): Promise<void>;
  /** Collects what nobody uses; safe beside pushes. One runs at a time: a second call gets the first one's report. */
  collectGarbage(options?: { readonly graceMinutes?: number }): Promise<GarbageReport>;
  /** Stops the daily collection and waits for one under way. */
  close(): Promise<void>;
}

/** Opens the registry in its folder: adopts uploads that a killed process left, removes what cannot be gone on with, and sets the daily collection. */
export async function createRegistry(options: RegistryOptions): Promise<Registry> {
  const { store, clock, ids, config, dataDir } = options;
  const disk = options.disk ?? new DiskGuard({ folder: dataDir, clock, reserveBytes: 0 });
  const logger = options.logger.child({ room: "registry" });
  const locks = new KeyedLock();
  const blobs = await FileBlobStore.open(dataDir, { clock, ids, disk });
  const uploads = await Uploads.open({ folder: join(dataDir, "uploads"), store, blobs, clock, ids, disk });
  const endUploads = async (repository: RepositoryRef): Promise<void> => void (await uploads.sweep({ repository }));
  const repositories = new Repositories({ store, clock, locks, endUploads });
  const images = new Images({ store, blobs, clock, locks, repositories });
  const tokens = await Tokens.open({ store, clock, ids });
  const upstream = new Upstream({ clock, ...(config.upstreamUrlOf === undefined ? {} : { urlOf: config.upstreamUrlOf }) });
  const pullThrough = new PullThrough({ images, repositories, blobs, upstream, clock, logger, disk });
  const { account, region, port, earlierPorts = [] } = config;
  const home = { account, region, port, earlierPorts };
  const logins = new Logins();
  const rooms: Rooms = { home, repositories, images, uploads, blobs, pullThrough, tokens, upstream, logins, clock, logger };

  const collector = dailyCollector({
    collect: (graceMinutes) => {
      const graceMs = (graceMinutes ?? config.garbageGraceMinutes ?? 60) * MINUTE_MS;
      return collectGarbage({ store, blobs, uploads, clock, locks, graceMs, uploadExpiryMs: (config.uploadExpiryHours ?? 24) * 60 * MINUTE_MS });
    },
    setTimer: (run) => clock.setTimer(DAY_MS, run),
    report: (report) => logger.info("registry garbage collected", { ...report }),
    fail: (error) => logger.error("registry garbage collection failed", { err: messageOf(error) }),
  });

  return {
    plugin: registryPlugin(rooms),
    repositories,
    images,
    uploads,
    tokens,
    async resolve({ repository, reference, ...scope }) {
      const record = await images.find({ ...scope, name: repository }, reference);
      return record === undefined ? undefined : resolved(record);
    },
    resolveImage: (image, scope) => resolveImage(rooms, image, scope),
    async resolveByLogin(image, candidates) {
      let refused: unknown;
      for (const login of loginsFor(image, candidates, [port, ...earlierPorts])) {
        try {
          return await resolveByLogin(rooms, image, login);
        } catch (error) {
          if (!isRegistryProblem(error, "manifest-unknown")) throw error;
          refused = error;
        }
      }
      if (refused !== undefined) throw refused;
      return undefined;
    },
    layerPath(repository, digest) {
      const token = tokens.issueForLayer({ ...repository, repository: repository.name, digest }, LAYER_URL_LIFETIME_MS);
      return `/v2/${repository.name}/blobs/${digest}?${LAYER_TOKEN_PARAMETER}=${token}`;
    },
    async putPublicBlob(image, digest, content) {
      const { repository } = publicImage(image);
      await repositories.getForPush(repository);
      const { sizeBytes } = await blobs.write(digest, content);
      await images.linkBlob(repository, { digest, sizeBytes });
    },
    async putPublicManifest(image, manifest) {
      const { repository, reference } = publicImage(image);
      const to = isDigest(reference) ? { digest: reference } : { tag: reference };
      return resolved((await images.put(repository, { ...manifest, ...to })).record);
    },
    listPublicImages: () => listPublicImages(rooms),
    async deletePublicImage(image) {
      const { repository, reference } = publicImage(image);
      if (isDigest(reference)) await images.deleteDigest(repository, reference);
      else await images.deleteTag(repository, reference, { lastTagDeletesImage: true });
    },
    collectGarbage: (request = {}) => collector.collect(request.graceMinutes),
    close: () => collector.close(),
  };
}

function resolved(record: ManifestRecord): ResolvedImage {
  return { digest: record.digest, mediaType: record.mediaType };
}

function parsed(image: string): ImageName {
  const name = parseImageName(image);
  if (name === undefined) throw new RegistryProblem("name-invalid", `'${image}' is not an image name`);
  return name;
}

function publicImage(image: string): { readonly repository: RepositoryRef; readonly reference: string } {
  const { host, repository, reference } = parsed(image);
  const registry = publicRegistryOf(host);
  if (registry === undefined) throw new RegistryProblem("name-invalid", `'${image}' is not the name of an image of a public registry`);
  return { repository: { ...PUBLIC_SCOPE, name: `${registry}/${repository}` }, reference };
}

async function resolveImage(rooms: Rooms, image: string, scope: Scope): Promise<ResolvedImage & { readonly repository: RepositoryRef }> {
  const { host, repository: name, reference } = parsed(image);
  try {
    const addressing = { host: "", ns: host, caller: { ...scope, principalArn: "" }, home: rooms.home };
    const repository = repositoryOf(name, addressing);
    if (repository.account === PUBLIC_SCOPE.account) return { ...resolved(await rooms.pullThrough.manifest(repository, reference)), repository };
    if (scopeOf(addressing).scope.account !== scope.account) {
      throw new RegistryProblem(
        "denied",
        `account ${scope.account} may not pull from account ${repository.account}: repository policies are not supported`,
      );
    }
    await rooms.repositories.get(repository);
    const record = await rooms.images.find(repository, reference);
    if (record === undefined) throw manifestUnknown();
    return { ...resolved(record), repository };
  } catch (error) {
    if (!isRegistryProblem(error) || error.message.includes(image)) throw error;
    throw new RegistryProblem(error.reason, `${image}: ${error.message}`, { cause: error });
  }
}

async function resolveByLogin(rooms: Rooms, image: string, login: Login): Promise<{ readonly digest: string; readonly password: string }> {
  const { host, repository, reference } = parsed(image);
  const registry = loginRegistryOf(host);
  if (registry === undefined) throw new RegistryProblem("name-invalid", `'${host}' is not a registry that images can be pulled from`);
  const { bytes, mediaType } = await rooms.upstream.manifest({ registry, repository, login }, reference);
  const principalArn = `user ${login.username} of ${registry}`;
  const { password } = rooms.tokens.issue({ ...rooms.logins.scopeOf(login), principalArn });
  return { digest: readManifest(bytes, mediaType).digest, password };
}

async function listPublicImages(rooms: Rooms): Promise<readonly (ResolvedImage & { readonly image: string; readonly sizeBytes: number })[]> {
  const found: (ResolvedImage & { readonly image: string; readonly sizeBytes: number })[] = [];
  for (const repository of await rooms.repositories.list(PUBLIC_SCOPE)) {
    for (const { record, tags } of await rooms.images.list(repository)) {
      for (const tag of tags) found.push({ ...resolved(record), image: `${repository.name}:${tag}`, sizeBytes: record.imageSizeBytes });
    }
  }
  return found;
}

interface CollectorOptions {
  readonly collect: (graceMinutes: number | undefined) => Promise<GarbageReport>;
  readonly setTimer: (run: () => void) => Disposable;
  readonly report: (report: GarbageReport) => void;
  readonly fail: (error: unknown) => void;
}

/** Runs one collection at a time, on demand and once a day. */
function dailyCollector(options: CollectorOptions): { collect(graceMinutes?: number): Promise<GarbageReport>; close(): Promise<void> } {
  let running: Promise<GarbageReport> | undefined;
  let timer: Disposable | undefined;
  let closed = false;
  const collect = (graceMinutes?: number): Promise<GarbageReport> => {
    running ??= options.collect(graceMinutes).finally(() => (running = undefined));
    return running;
  };
  const arm = (): void => {
    timer = options.setTimer(() => {
      collect()
        .then(options.report, options.fail)
        .finally(() => closed || arm());
    });
  };
  arm();
  return {
    collect,
    async close() {
      closed = true;
      timer?.[Symbol.dispose]();
      await running?.catch(() => {});
    },
  };
}
