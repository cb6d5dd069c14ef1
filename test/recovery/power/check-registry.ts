import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { systemClock } from "../../../src/core/clock.ts";
import { randomIds } from "../../../src/core/ids.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { messageOf } from "../../../src/core/problem.ts";
import { BLOB_LINKS, UPLOADS } from "../../../src/registry/records.ts";
import { createRegistry, type Registry } from "../../../src/registry/registry.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import type { Check } from "./cuts.ts";
import { contentOf, digestOf, manifestOver, REPOSITORY } from "./images.ts";
import type { Ledger } from "./ledger.ts";

/** Every acknowledged image is there and whole, no blob is served that is not what its digest says, and pushes go on. */
export const checkRegistry: Check = async (folder, ledger) => {
  const dataDir = join(folder, "data");
  const store = await openSqliteStore({ path: join(dataDir, "tidegate.db"), logger: silentLogger });
  const config = { account: REPOSITORY.account, region: REPOSITORY.region, port: 0, reserveBytes: 0 };
  const tools = { clock: systemClock, ids: randomIds, logger: silentLogger };
  const registry = await createRegistry({ ...tools, dataDir: join(dataDir, "registry"), store, config });
  try {
    const blobs = new Blobs(join(dataDir, "registry/blobs/sha256"));
    const links = new Set((await store.list(BLOB_LINKS)).map((link) => link.value.digest));
    const problems = [...(await imagesHold(registry, blobs, ledger)), ...blobsHold(links, ledger)];
    const unfinished = (await store.list(UPLOADS)).map((upload) => upload.key);
    for (const id of unfinished) await resume(registry, id);
    problems.push(...blobs.unsound());
    for (const digest of links) if (!blobs.has(digest)) problems.push(`${digest} is linked, and its file is gone`);
    problems.push(...(await pushes(registry)));
    return problems;
  } finally {
    await registry.close();
    await store.close();
  }
};

async function imagesHold(registry: Registry, blobs: Blobs, ledger: Ledger): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const key of ledger.keys("tag ")) {
    const record = await registry.images.find(REPOSITORY, key.slice("tag ".length));
    const problem = ledger.judge(key, record?.digest ?? null);
    if (problem !== undefined) problems.push(problem);
    if (record === undefined) continue;
    for (const digest of [record.digest, ...record.blobs]) {
      if (!blobs.has(digest)) problems.push(`${key} needs ${digest}, which is gone`);
    }
  }
  return problems;
}

function blobsHold(links: ReadonlySet<string>, ledger: Ledger): readonly string[] {
  const judged = ledger.keys("blob ").map((key) => ledger.judge(key, links.has(key.slice("blob ".length)) ? "there" : null));
  return judged.filter((problem) => problem !== undefined);
}

/** The files that the registry serves from. */
class Blobs {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  has(digest: string): boolean {
    const hex = digest.slice("sha256:".length);
    return existsSync(join(this.#folder, hex.slice(0, 2), hex));
  }

  unsound(): readonly string[] {
    return readdirSync(this.#folder).flatMap((above) =>
      readdirSync(join(this.#folder, above)).flatMap((name) => {
        const found = digestOf(readFileSync(join(this.#folder, above, name)));
        return found === `sha256:${name}` ? [] : [`the blob ${name} is served with content of ${found}`];
      }),
    );
  }
}

/** As a client goes on that asks how far it got. Zeros that a cut left must not become a blob: the digest refuses them. */
async function resume(registry: Registry, id: string): Promise<void> {
  const content = contentOf("unfinished");
  const offset = await registry.uploads.offset(REPOSITORY, id);
  if (offset > content.length) return;
  await registry.uploads.append(REPOSITORY, id, { content: Readable.from([content.subarray(offset)], { objectMode: false }) });
  await registry.uploads.complete(REPOSITORY, id, digestOf(content)).catch((error: unknown) => {
    if (!messageOf(error).includes("digest")) throw error;
  });
}

async function pushes(registry: Registry): Promise<readonly string[]> {
  if ((await registry.repositories.list(REPOSITORY)).length === 0) return [];
  const id = await registry.uploads.start(REPOSITORY);
  await registry.uploads.append(REPOSITORY, id, { content: Readable.from([contentOf("after")], { objectMode: false }) });
  await registry.uploads.complete(REPOSITORY, id, digestOf(contentOf("after")));
  const { record } = await registry.images.put(REPOSITORY, { bytes: manifestOver(["after"]), tag: "after" });
  return (await registry.images.find(REPOSITORY, "after"))?.digest === record.digest ? [] : ["an image pushed after the cut is not found"];
}
