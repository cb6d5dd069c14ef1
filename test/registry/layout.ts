import { createHash, randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** Writes an OCI layout with one image, tagged `v1`, of gzipped layers that hold one file of random bytes each. */
export async function writeLayout(folder: string, layerSizesBytes: readonly number[], file = "data"): Promise<{ readonly digest: string }> {
  const blobs = join(folder, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (bytes: Buffer, mediaType: string): Promise<{ readonly mediaType: string; readonly digest: string; readonly size: number }> => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const layers = [];
  const diffIds: string[] = [];
  for (const [index, sizeBytes] of layerSizesBytes.entries()) {
    const tar = tarOf(`${file}${index}`, randomBytes(sizeBytes));
    diffIds.push(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
    layers.push(await put(gzipSync(tar, { level: 1 }), "application/vnd.oci.image.layer.v1.tar+gzip"));
  }
  const config = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffIds } };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: await put(Buffer.from(JSON.stringify(config)), "application/vnd.oci.image.config.v1+json"),
    layers,
  };
  const described = await put(Buffer.from(JSON.stringify(manifest)), manifest.mediaType);
  const manifests = [{ ...described, annotations: { "org.opencontainers.image.ref.name": "v1" } }];
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  return { digest: described.digest };
}

/** A tar archive with one regular file. */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\u000000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512), Buffer.alloc(1024)]);
}
