import { join } from "node:path";
import { controlPlaneReference, kubernetesReferences, pushControlPlane } from "../../builder/kubernetes/image.ts";
import { DEFAULT_CACHE_FOLDER, KUBERNETES_VERSION } from "../../builder/kubernetes/look.ts";
import { obtainKubernetes } from "../../builder/kubernetes/obtain.ts";
import { seedNode } from "../../builder/seed/node-image.ts";
import { systemClock } from "../../core/clock.ts";
import type { PruneReport } from "../../core/status-report.ts";
import { inWords } from "../../host/disk-guard.ts";
import { type Command, CommandError, UsageError } from "../command.ts";
import { hasManifest, publicImages, registryAccess } from "../deploy/registry-access.ts";
import { ago } from "../output.ts";
import { runSteps } from "../progress.ts";
import type { Session } from "../session.ts";

interface ImagesOptions {
  readonly json?: boolean;
  readonly force?: boolean;
  readonly kubernetesDir?: string;
}

/** The images of all repositories; or `images seed node`, `images seed kubernetes`, `images prune`. */
export const images: Command<ImagesOptions> = {
  usage: "images [action] [what]",
  summary:
    "what the registry keeps; `images seed node` makes Node base images without a public registry, `images seed kubernetes` the control plane of clusters; `images prune` frees what nothing uses",
  options: [
    ["--json", "as JSON"],
    ["--force", "seed again even if they are there"],
    [
      "--kubernetes-dir <folder>",
      "with `seed kubernetes`: take etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and coredns and metrics-server if it has them, from there",
    ],
  ],
  async run({ arguments: [action, what], options, session }) {
    if (action === undefined) return list(session);
    if (action === "prune" && what === undefined) return prune(session);
    if (action === "seed" && what === "node") return seedNodeImages(session, options.force === true);
    if (action === "seed" && what === "kubernetes") return seedKubernetes(session, options);
    throw new UsageError("there is `images`, `images seed node`, `images seed kubernetes` and `images prune`");
  },
};

async function seedKubernetes(session: Session, { force = false, kubernetesDir }: ImagesOptions): Promise<void> {
  const registry = await registryAccess(session);
  const wanted = controlPlaneReference(KUBERNETES_VERSION);
  if (!force && kubernetesDir === undefined) {
    const there = await Promise.all(kubernetesReferences().map((reference) => hasManifest(registry, reference)));
    if (there.every(Boolean)) return session.output.line(`${wanted} is there already (--force makes it anew).`);
  }
  await runSteps(session.output, [
    {
      title: `Kubernetes ${KUBERNETES_VERSION}: etcd, the control plane and add-ons`,
      async run(say) {
        const programs = await obtainKubernetes({ folder: kubernetesDir, cacheFolder: DEFAULT_CACHE_FOLDER, onStep: say });
        say("pack and push");
        const createdAt = new Date(systemClock.nowMs()).toISOString();
        const { reference, digest } = await pushControlPlane(programs, { registry, stateFolder: join(session.dataDir, "builder"), createdAt });
        return `${reference} (${digest.slice(0, 19)})`;
      },
    },
  ]);
}

async function seedNodeImages(session: Session, force: boolean): Promise<void> {
  const registry = await registryAccess(session);
  const wanted = `docker.io/library/node:${process.versions.node}-slim`;
  if (!force && (await publicImages(registry)).includes(wanted)) return session.output.line(`${wanted} is there already (--force makes it anew).`);
  let names: readonly string[] = [];
  await runSteps(session.output, [
    {
      title: "Node base image from this machine's own packages",
      async run(say) {
        const createdAt = new Date(systemClock.nowMs()).toISOString();
        const seeded = await seedNode({ registry, stateFolder: join(session.dataDir, "builder"), createdAt, onStep: say });
        names = seeded.map((image) => `${image.name} (${image.tags.length} tags, ${image.digest.slice(0, 19)})`);
        return "Node base image made";
      },
    },
  ]);
  for (const name of names) session.output.line(name);
  session.output.line("`FROM node:26-slim` builds now without a registry. The image has apt, adduser and certificates; no compilers, git or python.");
}

async function prune(session: Session): Promise<void> {
  const answer = await session.own<PruneReport>("images/prune", "POST");
  if (answer === undefined) throw new CommandError("an older Tidegate serves this instance: restart it with this version", 1);
  if (session.json) return session.output.json(answer);
  for (const image of answer.images) session.output.line(`unpacked ${image.name} (${inWords(image.sizeBytes)}); the registry keeps it`);
  if (answer.registryBlobs > 0) session.output.line(`${answer.registryBlobs} blobs that no image has (${inWords(answer.registryBytes)})`);
  session.output.line(answer.builderCache ? "the builder's cache" : "An image is being built: the builder's cache stays.");
  session.output.line(`${inWords(answer.freedBytes)} freed. Images in use, deployed by a service or kept by the registry stay.`);
}

/** The images of public registries that this one keeps: what `FROM` finds here. */
async function printBaseImages(session: Session): Promise<void> {
  const tags = Map.groupBy(await publicImages(await registryAccess(session)), (name) => name.slice(0, name.lastIndexOf(":")));
  if (tags.size === 0) return;
  session.output.table(
    ["BASE IMAGE", "TAGS"],
    [...tags].map(([name, names]) => [name, names.map((full) => full.slice(name.length + 1)).join(", ")]),
  );
  session.output.line();
}

async function list(session: Session): Promise<void> {
  const { paginateDescribeImages, paginateDescribeRepositories } = await import("@aws-sdk/client-ecr");
  const ecr = await session.ecr();
  const found: { repository: string; tags: readonly string[]; digest: string; sizeBytes: number; pushedAtMs: number }[] = [];
  for await (const page of paginateDescribeRepositories({ client: ecr }, {})) {
    for (const { repositoryName = "" } of page.repositories ?? []) {
      for await (const imagePage of paginateDescribeImages({ client: ecr }, { repositoryName })) {
        for (const image of imagePage.imageDetails ?? []) {
          found.push({
            repository: repositoryName,
            tags: image.imageTags ?? [],
            digest: image.imageDigest ?? "",
            sizeBytes: image.imageSizeInBytes ?? 0,
            pushedAtMs: image.imagePushedAt?.getTime() ?? 0,
          });
        }
      }
    }
  }
  found.sort((a, b) => a.repository.localeCompare(b.repository) || b.pushedAtMs - a.pushedAtMs);
  if (session.json) return session.output.json(found);
  await printBaseImages(session);
  if (found.length === 0) return session.output.line("No repository holds an image.");
  const nowMs = systemClock.nowMs();
  session.output.table(
    ["REPOSITORY", "TAGS", "DIGEST", "SIZE", "PUSHED"],
    found.map((image) => [
      image.repository,
      image.tags.join(", ") || "-",
      image.digest.slice(0, 19),
      `${(image.sizeBytes / 1e6).toFixed(1)} MB`,
      ago(image.pushedAtMs, nowMs),
    ]),
  );
}
