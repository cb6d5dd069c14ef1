import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeSource, KUBERNETES_PROGRAMS, KUBERNETES_VERSION, lookForKubernetes } from "./look.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-kubernetes-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A folder of programs that say they are of this version. */
async function programs(name: string, version: string, which: readonly string[] = KUBERNETES_PROGRAMS): Promise<string> {
  const made = join(folder, name);
  await mkdir(made);
  for (const program of which) {
    await writeFile(join(made, program), `#!/bin/sh\necho Kubernetes v${version}\n`);
    await chmod(join(made, program), 0o755);
  }
  return made;
}

describe("where the control plane's programs come from", () => {
  it("takes the operator's folder, whatever else there is", async () => {
    const named = await programs("named", "1.36.9");
    expect(await lookForKubernetes({ folder: named, cacheFolder: folder })).toEqual({ way: "programs", folder: named, version: "1.36.9" });
  });

  it("refuses a named folder that lacks a program, or has another minor version, and says so", async () => {
    const lacking = await programs("lacking", "1.36.3", ["kube-apiserver"]);
    const lacks = await lookForKubernetes({ folder: lacking, cacheFolder: folder });
    expect(lacks).toMatchObject({ way: "none", reason: expect.stringContaining("does not hold etcd, etcdutl, kube-apiserver") });
    const old = await programs("old", "1.30.1");
    expect(describeSource(await lookForKubernetes({ folder: old, cacheFolder: folder }))).toContain("are of Kubernetes 1.30.1");
  });

  it("builds where nothing is there, and takes what was built from then on, until the module changes", async () => {
    const first = await lookForKubernetes({ cacheFolder: folder, mirror: "off" });
    if (first.way !== "build" && first.way !== "build-with-wheel") throw new Error(`this machine has ${describeSource(first)}`);
    expect(first.binary).toMatch(new RegExp(`/${KUBERNETES_VERSION}-[0-9a-f]{12}/tidegate-kubernetes$`));
    await mkdir(dirname(first.binary), { recursive: true });
    await writeFile(first.binary, "");
    expect(await lookForKubernetes({ cacheFolder: folder })).toEqual({ way: "cached", binary: first.binary, version: KUBERNETES_VERSION });
  });
});
