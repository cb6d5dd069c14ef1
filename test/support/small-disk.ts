/** A disk of a test's own: an ext4 in a file, mounted by loop. */
import { mkdir, mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/host/run.ts";

const MIB = 1024 * 1024;

export interface SmallDisk extends AsyncDisposable {
  /** An empty folder on it. */
  readonly folder: string;
  freeBytes(): Promise<number>;
  /** Takes all space but so much. May be called again, for less or more. */
  fill(leaveBytes?: number): Promise<void>;
  /** Gives back what `fill` took. */
  release(): Promise<void>;
}

/** Nothing is reserved for root on it, so that "full" is full for Tidegate too. */
export async function smallDisk(sizeMiB: number): Promise<SmallDisk> {
  const work = await mkdtemp(join(tmpdir(), "tg-disk-"));
  const [image, mountPoint] = [join(work, "image"), join(work, "disk")];
  await mkdir(mountPoint);
  await run(["truncate", "-s", `${sizeMiB}M`, image]);
  await run(["mkfs.ext4", "-q", "-F", "-m", "0", image]);
  await run(["mount", "-o", "loop", image, mountPoint]);
  const folder = join(mountPoint, "data");
  await mkdir(folder);
  const ballast = join(mountPoint, "ballast");
  const freeBytes = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(mountPoint);
    return bavail * bsize;
  };
  const release = async (): Promise<void> => rm(ballast, { force: true });
  return {
    folder,
    freeBytes,
    release,
    async fill(leaveBytes = 0) {
      await release();
      // A file's own block map takes a little too: what is left over is filled by the block.
      await run(["fallocate", "-l", String(Math.max(MIB, (await freeBytes()) - leaveBytes)), ballast], { okCodes: [0, 1] });
      const leftMiB = Math.ceil(((await freeBytes()) - leaveBytes) / MIB) + 1;
      const append = ["dd", "if=/dev/zero", `of=${ballast}`, "oflag=append", "conv=notrunc,fsync"];
      if (leaveBytes === 0) await run([...append, "bs=4096", `count=${leftMiB * 256}`], { okCodes: [0, 1] });
    },
    async [Symbol.asyncDispose]() {
      // Lazily, so that nothing that still has a file open keeps it there for ever.
      await run(["umount", "--lazy", mountPoint]);
      await rm(work, { recursive: true, force: true });
    },
  };
}
