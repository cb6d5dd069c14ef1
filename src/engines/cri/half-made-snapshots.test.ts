import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { RpcError } from "./grpc.ts";
import { removingHalfMadeSnapshots } from "./half-made-snapshots.ts";

it("removes the folder that is in the way, of this containerd alone, and makes the call again", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidegate-snapshots-"));
  try {
    const snapshots = join(root, "io.containerd.snapshotter.v1.overlayfs/snapshots");
    const refusal = (folder: string): RpcError => {
      const words = `failed to create containerd container: failed to rename: rename ${folder}/new-298914530 ${folder}/14: file exists`;
      return new RpcError("CreateContainer", status.UNKNOWN, words);
    };
    await mkdir(join(snapshots, "14/fs"), { recursive: true });
    const make = async (): Promise<string> => {
      if (existsSync(join(snapshots, "14"))) throw refusal(snapshots);
      return "made";
    };
    // Both are refused at the same time; when the second looks again, the folder is a new snapshot's.
    let made = false;
    const makeOwn = async (): Promise<string> => {
      if (made) return "made too";
      await make();
      await mkdir(join(snapshots, "14"));
      made = true;
      return "made";
    };
    expect(await Promise.all([removingHalfMadeSnapshots(root, makeOwn), removingHalfMadeSnapshots(root, makeOwn)])).toEqual(["made", "made too"]);
    expect(existsSync(join(snapshots, "14"))).toBe(true);
    const foreign = async (): Promise<never> => {
      throw refusal("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots");
    };
    await expect(removingHalfMadeSnapshots(root, foreign)).rejects.toThrow("file exists");
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
