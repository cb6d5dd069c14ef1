/** containerd's own database after a power cut that it did not survive: the next start begins anew, by itself. */
import { open, readFile, readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { findShims, removeLeftovers } from "../../../src/engines/cri/cleanup.ts";
import { containerdPaths } from "../../../src/engines/cri/containerd-config.ts";
import { startInstance, until, type TestInstance } from "../../support/instance.ts";
import { full } from "../matrix.ts";

/** What a cut may leave of a file that was being written: a part of it, or pages of zeros. */
const DAMAGES: Readonly<Record<string, (path: string) => Promise<void>>> = {
  "zeros where its first pages were": async (path) => {
    const file = await open(path, "r+");
    await file.write(Buffer.alloc(4096), 0, 4096, 0);
    await file.write(Buffer.alloc(4096), 0, 4096, 4096);
    await file.close();
  },
  ...(full && { "its first page": (path: string) => truncate(path, 4096) }),
};

/** As after a cut and a boot: nothing of containerd's runs. */
async function cut(instance: TestInstance): Promise<void> {
  const { runDir } = JSON.parse(await readFile(join(instance.dataDir, "instance.json"), "utf8")) as { readonly runDir: string };
  const paths = containerdPaths({ dataDir: instance.dataDir, runDir });
  await instance.kill();
  const { pid } = JSON.parse(await readFile(join(runDir, "daemons/containerd.json"), "utf8")) as { readonly pid: number };
  process.kill(pid, "SIGKILL");
  const kept = join(instance.dataDir, "none");
  const leftovers = { ...paths, root: kept, configFile: join(kept, "config.toml") };
  await removeLeftovers(instance.instanceId, leftovers, systemClock);
  // One that was being started as containerd died comes after the look that ended the others.
  await until("no shim runs", async () => {
    const shims = await findShims(paths);
    if (shims.length > 0) await removeLeftovers(instance.instanceId, leftovers, systemClock);
    return shims.length === 0;
  });
}

it.each(Object.entries(DAMAGES))("begins anew when what is left of its database is: %s", { timeout: 240_000 }, async (_, damage) => {
  const instance = await startInstance();
  try {
    await cut(instance);
    const root = join(instance.dataDir, "containerd");
    const database = (await readdir(root, { recursive: true })).find((path) => path.endsWith("bolt/meta.db")) ?? "";
    await damage(join(root, database));
    await instance.up();
    await until("all is well", async () => (await instance.cli(["status"], { okCodes: [0, 1] })).code === 0);
    expect(await readFile(join(instance.dataDir, "tidegate.log"), "utf8")).toContain("containerd's database is damaged");
  } finally {
    await instance.remove();
  }
});
