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
  const advice = "`apt-get install buildah` gives one that needs no daemon.";
  if (name === undefined) throw new Problem("unavailable", `No image builder (BuildKit, Docker or Buildah) answers. ${advice}`);
  throw new Problem(
    "unavailable",
    `${name} is not installed, or its daemon does not answer. ${name === "buildah" ? "`apt-get install buildah`" : advice}`,
  );
}
