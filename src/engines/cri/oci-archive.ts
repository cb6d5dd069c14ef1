import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { imageArchitecture } from "../../host/architecture.ts";

/** A file of a tar archive; a folder when `content` is left out, a symbolic link when `linkTo` is given. */
export interface ArchiveEntry {
  /** Relative, e.g. `bin/sh`. */
  readonly path: string;
  readonly content?: Uint8Array | string;
  readonly linkTo?: string;
  /** Permission bits; default 0755. */
  readonly mode?: number;
}

const BLOCK = 512;

/** A tar archive (ustar) of files owned by root, with a fixed time: the same entries give the same bytes. */
export function tarArchive(entries: readonly ArchiveEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? "");
    return [tarHeader(entry, content.length), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function tarHeader(entry: ArchiveEntry, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const type = entry.linkTo !== undefined ? "2" : entry.content !== undefined ? "0" : "5";
  if (Buffer.byteLength(entry.path) > 100) throw new RangeError(`${entry.path} is too long for a tar header`);
  header.write(entry.path, 0);
  header.write(octal(entry.mode ?? 0o755, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136);
  header.write(" ".repeat(8), 148);
  header.write(type, 156);
  header.write(entry.linkTo ?? "", 157);
  header.write("ustar\u000000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return header;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

export interface ImageConfig {
  readonly entryPoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: readonly string[];
  readonly user?: string;
  readonly workingDirectory?: string;
  readonly stopSignal?: string;
}

/** An OCI image of one layer, as an image-layout archive that `ctr images import`, skopeo and buildah read. */
export interface OciArchive {
  readonly tar: Buffer;
  readonly reference: string;
  /** Of the manifest. */
  readonly digest: string;
  /** Manifest, configuration and layer by digest, for a registry. */
  readonly blobs: ReadonlyMap<string, Buffer>;
}

/** Makes an image of `files` for this machine's architecture, named `reference` (in full, with a tag). */
export function ociArchive(reference: string, files: readonly ArchiveEntry[], config: ImageConfig): OciArchive {
  const blobs = new Map<string, Buffer>();
  const add = (content: Buffer, mediaType: string): Descriptor => {
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    blobs.set(digest, content);
    return { mediaType, digest, size: content.length };
  };
  const json = (value: unknown, mediaType: string): Descriptor => add(Buffer.from(JSON.stringify(value)), mediaType);
  const layerTar = tarArchive(files);
  const layer = add(gzipSync(layerTar), "application/vnd.oci.image.layer.v1.tar+gzip");
  const diffId = `sha256:${createHash("sha256").update(layerTar).digest("hex")}`;
  const configBlob = json(imageConfigJson(config, diffId), "application/vnd.oci.image.config.v1+json");
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = json({ schemaVersion: 2, mediaType: manifestType, config: configBlob, layers: [layer] }, manifestType);
  const annotations = { "io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference };
  const tar = tarArchive([
    { path: "oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }), mode: 0o644 },
    { path: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }), mode: 0o644 },
    ...[...blobs].map(([digest, content]) => ({ path: `blobs/${digest.replace(":", "/")}`, content, mode: 0o644 })),
  ]);
  return { tar, reference, digest: manifest.digest, blobs };
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

function imageConfigJson(config: ImageConfig, diffId: string): unknown {
  const architecture = imageArchitecture();
  return {
    architecture,
    os: "linux",
    config: {
      Entrypoint: config.entryPoint,
      Cmd: config.command,
      Env: config.environment ?? ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      User: config.user,
      WorkingDir: config.workingDirectory ?? "/",
      StopSignal: config.stopSignal,
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created_by: "tidegate" }],
  };
}

/** Writes the archive to a file. */
export async function writeOciArchive(path: string, archive: OciArchive): Promise<void> {
  await writeFile(path, archive.tar);
}
