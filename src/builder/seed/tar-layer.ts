import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Problem } from "../../core/problem.ts";

/** One image layer on disk: a gzipped tar. */
export interface Layer {
  readonly path: string;
  /** Of the compressed file. */
  readonly digest: string;
  /** Of the tar inside. */
  readonly diffId: string;
  readonly sizeBytes: number;
}

/** Packs a folder as a layer, all owned by root, in name order and with fixed times, so that the same content has the same digest. */
export async function packFolder(folder: string, path: string): Promise<Layer> {
  const tar = spawn("tar", ["--create", "--sort=name", "--mtime=@0", "--numeric-owner", "--directory", folder, "."], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => tar.on("close", resolve));
  const layer = await compress(tar.stdout, path);
  const code = await ended;
  if (code !== 0) throw new Problem("unavailable", `tar of ${folder} ended with ${code}`);
  return layer;
}

/** Compresses a tar file into a layer. */
export function packTar(tarPath: string, path: string): Promise<Layer> {
  return compress(createReadStream(tarPath, { highWaterMark: 1 << 20 }), path);
}

async function compress(tar: NodeJS.ReadableStream, path: string): Promise<Layer> {
  const inside = createHash("sha256");
  const outside = createHash("sha256");
  await pipeline(tar, tap(inside), createGzip({ level: 1 }), tap(outside), createWriteStream(path));
  const { size } = await stat(path);
  return { path, digest: `sha256:${outside.digest("hex")}`, diffId: `sha256:${inside.digest("hex")}`, sizeBytes: size };
}

function tap(hash: ReturnType<typeof createHash>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}
