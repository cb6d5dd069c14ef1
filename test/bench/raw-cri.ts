import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { ImageInfo } from "../../src/contracts/container-runtime.ts";
import { type CriHarness, criHarness } from "../support/cri-harness.ts";

const AT_ONCE = 8;

/**
 * The bare CRI calls that `count` tasks cost (sandbox, container, start), eight at a time on a containerd of its own, without network, limits,
 * logs or anybody to ask. Answers ms from the first call to the end of the last.
 */
export async function rawStorm(count: number, command: readonly string[]): Promise<number> {
  const harness = await criHarness();
  try {
    const image = await harness.runtime().pullImage({ image: harness.shellImage, policy: "never" });
    const waiting = Array.from({ length: count }, (_, index) => index);
    const startedMs = performance.now();
    const work = async (): Promise<void> => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) await launch(harness, { index, image, command });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return performance.now() - startedMs;
  } finally {
    await harness.dispose();
  }
}

async function launch(
  harness: CriHarness,
  what: { readonly index: number; readonly image: ImageInfo; readonly command: readonly string[] },
): Promise<void> {
  const name = `raw${what.index}`;
  const sandbox = await harness.runtime().createSandbox({
    name,
    runtimeHandler: "runc",
    cgroupParent: `/tidegate-${harness.instanceId}/${name}`,
    logDirectory: join(harness.folder, "logs", name),
    sharePidNamespace: false,
    labels: {},
  });
  const id = await harness.runtime().createContainer(sandbox, {
    name: "main",
    attempt: 0,
    image: what.image,
    entryPoint: what.command,
    environment: [],
    mounts: [],
    supplementalGroups: [],
    addCapabilities: [],
    dropCapabilities: [],
    readOnlyRootFilesystem: false,
    noNewPrivileges: false,
    cpuShares: 2,
    ulimits: [],
    tty: false,
    stdin: false,
    logPath: "main/0.log",
    labels: {},
  });
  await harness.runtime().startContainer(id);
}
