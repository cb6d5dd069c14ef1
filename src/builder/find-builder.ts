import { Problem } from "../core/problem.ts";
import type { Builder } from "./builder.ts";
import { findBuildah } from "./buildah.ts";
import { findBuildKit } from "./buildkit.ts";
import { findDocker } from "./docker.ts";

const FINDERS = { buildkit: findBuildKit, docker: findDocker, buildah: findBuildah } as const;

export type BuilderName = keyof typeof FINDERS;

/**
 * The first builder that works, in the order BuildKit, Docker, Buildah; or the one named.
 * @throws Problem `unavailable` with the command that installs one.
 */
export async function findBuilder(name?: BuilderName): Promise<Builder> {
  const names = name === undefined ? (Object.keys(FINDERS) as BuilderName[]) : [name];
  for (const candidate of names) {
    const builder = await FINDERS[candidate]();
    if (builder !== undefined) return builder;
  }
  throw new Problem("unavailable", `no ${name ?? "image builder (BuildKit, Docker or Buildah)"} answers. \`apt-get install buildah\` gives one.`);
}
