import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Problem } from "../../core/problem.ts";
import { ociArchive } from "./oci-archive.ts";
import type { OciArchive } from "./oci-archive.ts";

const CATATONIT = ["/usr/bin/catatonit", "/usr/libexec/catatonit/catatonit", "/usr/libexec/podman/catatonit", "/usr/local/bin/catatonit"];

/**
 * The image of the process that holds a sandbox's namespaces: the host's static `catatonit` and nothing else, so no registry is needed.
 * Its tag follows the binary, so that an upgraded one makes a new image.
 * @throws Problem `unavailable` when the program is not installed.
 */
export async function pauseImage(): Promise<{ readonly reference: string; archive(): OciArchive }> {
  const binary = await readFirst(CATATONIT);
  const tag = createHash("sha256").update(binary).digest("hex").slice(0, 12);
  const reference = `tidegate.internal/pause:${tag}`;
  return {
    reference,
    archive: () => ociArchive(reference, [{ path: "catatonit", content: binary }], { entryPoint: ["/catatonit", "-P"] }),
  };
}

async function readFirst(paths: readonly string[]): Promise<Buffer> {
  for (const path of paths) {
    try {
      return await readFile(path);
    } catch {
      continue;
    }
  }
  throw new Problem("unavailable", "catatonit, which holds the namespaces of tasks, is not installed: apt-get install catatonit");
}
