import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, it } from "vitest";
import type { BlobStore } from "../contracts/blob-store.ts";

const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** The suite that every BlobStore passes. Call it inside a `describe`; `open` makes an empty store each time. */
export function blobStoreConformance(open: () => Promise<BlobStore & AsyncDisposable>): void {
  it("gives back what was written, with its size", async () => {
    await using store = await open();
    const bytes = randomBytes(3 * 1024 * 1024 + 7);
    const digest = digestOf(bytes);
    expect(await store.stat(digest)).toBeUndefined();
    expect(await store.write(digest, Readable.from([bytes]))).toEqual({ sizeBytes: bytes.length });
    expect(await store.stat(digest)).toMatchObject({ sizeBytes: bytes.length });
    expect((await buffer(await store.read(digest))).equals(bytes)).toBe(true);
  });

  it("reads a range, inclusive at both ends", async () => {
    await using store = await open();
    const bytes = Buffer.from("0123456789");
    await store.write(digestOf(bytes), Readable.from([bytes]));
    expect((await buffer(await store.read(digestOf(bytes), { start: 2, end: 4 }))).toString()).toBe("234");
    expect((await buffer(await store.read(digestOf(bytes), { start: 9, end: 9 }))).toString()).toBe("9");
  });

  it("holds an empty blob", async () => {
    await using store = await open();
    const digest = digestOf(Buffer.alloc(0));
    await store.write(digest, Readable.from([]));
    expect(await store.stat(digest)).toMatchObject({ sizeBytes: 0 });
    expect(await buffer(await store.read(digest))).toHaveLength(0);
  });

  it("refuses content of another digest, and keeps none of it", async () => {
    await using store = await open();
    const digest = digestOf(Buffer.from("right"));
    await expect(store.write(digest, Readable.from([Buffer.from("wrong")]))).rejects.toMatchObject({ kind: "invalid" });
    expect(await store.stat(digest)).toBeUndefined();
  });

  it("keeps nothing when the source breaks off", async () => {
    await using store = await open();
    const bytes = randomBytes(100_000);
    async function* broken(): AsyncGenerator<Buffer> {
      yield bytes;
      throw new Error("gone");
    }
    await expect(store.write(digestOf(bytes), Readable.from(broken()))).rejects.toThrow("gone");
    expect(await store.stat(digestOf(bytes))).toBeUndefined();
  });

  it("says not-found for what it does not have, also after a delete, which may be repeated", async () => {
    await using store = await open();
    const bytes = Buffer.from("short-lived");
    await expect(store.read(digestOf(bytes))).rejects.toMatchObject({ kind: "not-found" });
    await store.write(digestOf(bytes), Readable.from([bytes]));
    await store.delete(digestOf(bytes));
    await store.delete(digestOf(bytes));
    await expect(store.read(digestOf(bytes))).rejects.toMatchObject({ kind: "not-found" });
  });

  it("takes the same blob from many at once", async () => {
    await using store = await open();
    const bytes = randomBytes(500_000);
    const digest = digestOf(bytes);
    await Promise.all(Array.from({ length: 8 }, () => store.write(digest, Readable.from([bytes]))));
    expect((await buffer(await store.read(digest))).equals(bytes)).toBe(true);
  });

  it("never uses a digest as a path", async () => {
    await using store = await open();
    for (const digest of ["sha256:../../etc/passwd", "sha256:abc", "md5:00", "../x"]) {
      await expect(store.read(digest)).rejects.toMatchObject({ kind: "invalid" });
    }
  });
}
