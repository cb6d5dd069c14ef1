import { createHash } from "node:crypto";
import type { ImageInfo, PullRequest, RuntimeImage } from "../../contracts/container-runtime.ts";
import type { Clock } from "../../core/clock.ts";
import { isDiskFull } from "../../core/disk-full.ts";
import { isProblem, messageOf, Problem } from "../../core/problem.ts";
import { DISK_ADVICE, type DiskGuard } from "../../host/disk-guard.ts";
import { run } from "../../host/run.ts";
import type { ContainerdClient } from "./grpc.ts";
import { isNotFound, NAMESPACE, problemOf, RpcError } from "./grpc.ts";
import { removingHalfMadeSnapshots } from "./half-made-snapshots.ts";
import type { CriImage } from "./messages.ts";
import { formatImageReference, parseImageReference } from "./image-reference.ts";

const PULL_DEADLINE_MS = 60 * 60_000;
const INDEX_DEADLINE_MS = 20_000;

export interface ImagesOptions {
  readonly client: ContainerdClient;
  readonly clock: Clock;
  /** Starts `ctr` on our containerd. */
  readonly ctr: { readonly program: string; readonly socket: string; readonly snapshotter: string };
  /** Of the disk that containerd's images are on: a pull ends before it is full. */
  readonly disk: DiskGuard;
  /** containerd's root folder. */
  readonly root: string;
  /** Never listed, never removed. */
  readonly pauseImage: string;
}

/** What an image's configuration says of its process. */
interface ImageFacts {
  readonly user?: string;
  readonly stopSignal?: string;
  readonly environment: readonly string[];
  readonly entryPoint?: readonly string[];
  readonly command?: readonly string[];
}

/** The images of one containerd. */
export class Images {
  readonly #options: ImagesOptions;
  readonly #client: ContainerdClient;
  /** By image id, the digest of the configuration: never changes. */
  readonly #facts = new Map<string, ImageFacts>();
  /** By `name@digest`; dropped whole when containerd goes away or an image is removed. */
  readonly #present = new Map<string, ImageInfo>();
  readonly #pulls = new Map<string, Promise<ImageInfo>>();
  /** Names that callers ask for just now, and how many of them. */
  readonly #wanted = new Map<string, number>();
  /** By image id, on the steady clock: when it was last asked for, or first seen. */
  readonly #usedMs = new Map<string, number>();
  /** Removals under way: who wants an image waits for them. */
  readonly #removals = new Set<Promise<unknown>>();

  constructor(options: ImagesOptions) {
    this.#options = options;
    this.#client = options.client;
  }

  /** As `ContainerRuntime.pullImage`. Callers that want the same at the same time share one pull. */
  async pull(request: PullRequest): Promise<ImageInfo> {
    const name = nameOf(request);
    while (this.#removals.size > 0) await Promise.allSettled(this.#removals);
    this.#wanted.set(name, (this.#wanted.get(name) ?? 0) + 1);
    try {
      const info = await this.#pullWanted(name, request);
      this.#usedMs.set(info.reference, this.#options.clock.steadyMs());
      return info;
    } finally {
      const others = (this.#wanted.get(name) ?? 1) - 1;
      if (others === 0) this.#wanted.delete(name);
      else this.#wanted.set(name, others);
    }
  }

  async #pullWanted(name: string, request: PullRequest): Promise<ImageInfo> {
    // What is named by digest cannot have changed: `always` has nothing to ask.
    if (request.policy !== "always" || request.digest !== undefined) {
      const present = await this.#local(name);
      if (present !== undefined) return present;
    }
    if (request.policy === "never") {
      throw new Problem("not-found", `image ${request.image} is not present, and its pull policy is "never"`);
    }
    const key = createHash("sha256")
      .update(JSON.stringify([name, request.credentials ?? null]))
      .digest("hex");
    const running = this.#pulls.get(key) ?? this.#download(name, request).finally(() => this.#pulls.delete(key));
    this.#pulls.set(key, running);
    return await running;
  }

  /** Puts the images of an OCI archive into containerd. Idempotent. */
  async import(tarPath: string, reference: string): Promise<ImageInfo> {
    const { program, socket, snapshotter } = this.#options.ctr;
    const command = [program, "-a", socket, "-n", NAMESPACE, "images", "import", "--snapshotter", snapshotter, "--digests=false", tarPath];
    await this.#client.making.run(() => run(command, { timeoutMs: 10 * 60_000 }));
    this.forget();
    return await this.#indexed(formatImageReference(parseImageReference(reference)));
  }

  async has(reference: string): Promise<boolean> {
    return (await this.#local(formatImageReference(parseImageReference(reference)))) !== undefined;
  }

  /** Drops what was remembered of this containerd's state. */
  forget(): void {
    this.#present.clear();
  }

  /** As `ContainerRuntime.listImages`; `inUse` are the ids of the images that containers are made of. */
  async list(inUse: ReadonlySet<string>): Promise<readonly RuntimeImage[]> {
    const nowMs = this.#options.clock.steadyMs();
    const { images } = await this.#client.criImages({});
    const present = new Set(images.map((image) => image.id));
    for (const id of this.#usedMs.keys()) if (!present.has(id)) this.#usedMs.delete(id);
    return images
      .filter((image) => !namesOf(image).includes(this.#options.pauseImage))
      .map((image) => {
        const usedMs = this.#usedMs.get(image.id) ?? nowMs;
        this.#usedMs.set(image.id, usedMs);
        return {
          id: image.id,
          names: image.repoTags.length > 0 ? image.repoTags : image.repoDigests,
          digests: image.repoDigests.map(digestOf),
          sizeBytes: Number(image.size),
          inUse: inUse.has(image.id),
          idleMs: nowMs - usedMs,
        };
      });
  }

  /** As `ContainerRuntime.removeImage`. CRI deletes the last name synchronously: containerd has collected what it held when the call ends. */
  async remove(id: string, imagesInUse: () => Promise<ReadonlySet<string>>): Promise<boolean> {
    const askedMs = this.#options.clock.steadyMs();
    const [{ images }, inUse] = await Promise.all([this.#client.criImages({}), imagesInUse()]);
    const image = images.find((each) => each.id === id);
    if (image === undefined) return true;
    const names = namesOf(image);
    if (inUse.has(id) || names.includes(this.#options.pauseImage)) return false;
    // Somebody was given it meanwhile, and is about to make a container of it.
    if ((this.#usedMs.get(id) ?? 0) >= askedMs) return false;
    // Nothing may be awaited between this look and the removal's entry: a pull that begins later waits for it.
    const digests = new Set(image.repoDigests.map(digestOf));
    if ([...this.#wanted.keys()].some((name) => names.includes(name) || digests.has(digestOf(name)))) return false;
    const removal = this.#client.removeImage({ image: { image: id } });
    this.#removals.add(removal);
    try {
      await removal;
    } catch (error) {
      throw problemOf(error, `cannot remove image ${names[1] ?? id}`);
    } finally {
      this.#removals.delete(removal);
      this.forget();
    }
    return true;
  }

  async #download(name: string, request: PullRequest): Promise<ImageInfo> {
    let imageId: string;
    try {
      const call = { image: { image: name }, ...(request.credentials === undefined ? {} : { auth: request.credentials }) };
      const answer = await this.#options.disk.during(`the pull was stopped`, (signal) =>
        removingHalfMadeSnapshots(this.#options.root, () => this.#client.pullImage(call, { deadlineMs: PULL_DEADLINE_MS, signal })),
      );
      imageId = answer.imageRef;
    } catch (error) {
      throw pullProblem(request.image, error);
    }
    const info = await this.#pulled(name, imageId).catch((error: unknown) => {
      throw problemOf(error, `cannot look at image ${request.image}, which was pulled`);
    });
    if (info === undefined) throw new Problem("unavailable", `image ${request.image} was removed while it was pulled: pull it again`);
    return info;
  }

  async #pulled(name: string, imageId: string): Promise<ImageInfo | undefined> {
    const { image } = await this.#client.getImage({ name });
    return this.#describe(name, image.target?.digest ?? "", imageId);
  }

  async #local(name: string): Promise<ImageInfo | undefined> {
    const digest = await this.#digestOf(name);
    if (digest === undefined) return undefined;
    return this.#present.get(`${name}@${digest}`) ?? (await this.#describe(name, digest));
  }

  async #digestOf(name: string): Promise<string | undefined> {
    // A digest needs no asking while it is known to be there.
    const at = name.indexOf("@");
    if (at !== -1 && this.#present.has(`${name}${name.slice(at)}`)) return name.slice(at + 1);
    try {
      return (await this.#client.getImage({ name })).image.target?.digest;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw problemOf(error, `cannot look for image ${name}`);
    }
  }

  /** `undefined` while CRI does not know the image, as just after an import. */
  async #describe(name: string, digest: string, imageId?: string): Promise<ImageInfo | undefined> {
    const known = imageId === undefined ? undefined : this.#facts.get(imageId);
    const read = known === undefined ? await this.#readFacts(name) : { id: imageId ?? "", facts: known };
    if (read === undefined) return undefined;
    this.#facts.set(read.id, read.facts);
    const info = { reference: read.id, digest, ...read.facts };
    this.#present.set(`${name}@${digest}`, info);
    return info;
  }

  async #readFacts(name: string): Promise<{ readonly id: string; readonly facts: ImageFacts } | undefined> {
    const { image, info } = await this.#client.imageStatus({ image: { image: name }, verbose: true }).catch((error: unknown) => {
      throw problemOf(error, `cannot look at image ${name}`);
    });
    if (image === null) return undefined;
    const { imageSpec } = JSON.parse(info["info"] ?? "{}") as { imageSpec?: { config?: OciImageConfig } };
    const config = imageSpec?.config ?? {};
    return {
      id: image.id,
      facts: {
        ...(config.User ? { user: config.User } : {}),
        ...(config.StopSignal ? { stopSignal: config.StopSignal } : {}),
        environment: config.Env ?? [],
        entryPoint: config.Entrypoint ?? [],
        command: config.Cmd ?? [],
      },
    };
  }

  /** CRI learns of an imported image by an event of containerd's, a moment later. */
  async #indexed(name: string): Promise<ImageInfo> {
    const deadlineMs = this.#options.clock.steadyMs() + INDEX_DEADLINE_MS;
    for (let delayMs = 5; ; delayMs = Math.min(delayMs * 2, 250)) {
      const info = await this.#local(name);
      if (info !== undefined) return info;
      if (this.#options.clock.steadyMs() > deadlineMs)
        throw new Problem("unavailable", `image ${name} was imported, but containerd's CRI does not show it`);
      await this.#options.clock.sleep(delayMs);
    }
  }
}

interface OciImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly StopSignal?: string;
}

function nameOf(request: PullRequest): string {
  const reference = parseImageReference(request.image);
  return formatImageReference(request.digest === undefined ? reference : { repository: reference.repository, digest: request.digest });
}

function namesOf(image: CriImage): readonly string[] {
  return [image.id, ...image.repoTags, ...image.repoDigests];
}

/** Of a name by digest; a name by tag answers itself. */
function digestOf(name: string): string {
  return name.slice(name.indexOf("@") + 1);
}

/** Keeps the registry's words and drops containerd's preamble about them. */
function pullProblem(image: string, error: unknown): Problem {
  const words = messageOf(error).replace(/^failed to pull and unpack image "[^"]*": /, "");
  const doing = `cannot pull image ${image}: ${words}`;
  if (isProblem(error, "exhausted")) return new Problem("exhausted", doing, { cause: error });
  if (isDiskFull(error)) return new Problem("exhausted", `${doing}. ${DISK_ADVICE}`, { cause: error });
  if (!(error instanceof RpcError)) return new Problem("unavailable", doing, { cause: error });
  if (isNotFound(error) || /: not found|manifest unknown|name unknown/i.test(words)) return new Problem("not-found", doing, { cause: error });
  const denied = /\b40[13]\b|unauthorized|forbidden|denied|insufficient_scope|authorization failed|no basic auth credentials/i.test(words);
  if (denied || /no match for platform|unsupported media ?type|invalid reference/i.test(words))
    return new Problem("invalid", doing, { cause: error });
  return new Problem("unavailable", doing, { cause: error });
}
