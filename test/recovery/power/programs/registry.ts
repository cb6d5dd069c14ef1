/**
 * Pushes images to the real registry: in parts and at once, the same layer again, moved tags, deleted ones, collected garbage, and an
 * upload that stays unfinished. `registry FOLDER LEDGER ROUNDS`
 */
import { join } from "node:path";
import { Readable } from "node:stream";
import { systemClock } from "../../../../src/core/clock.ts";
import { randomIds } from "../../../../src/core/ids.ts";
import { silentLogger } from "../../../../src/core/logger.ts";
import { createRegistry } from "../../../../src/registry/registry.ts";
import { openSqliteStore } from "../../../../src/store/sqlite/sqlite-store.ts";
import { contentOf, digestOf, manifestOver, REPOSITORY } from "../images.ts";
import { LedgerWriter } from "../ledger.ts";

const [, , folder = "", ledgerPath = "", rounds = "1"] = process.argv;
const ledger = new LedgerWriter(ledgerPath);
const dataDir = join(folder, "data");
const store = await openSqliteStore({ path: join(dataDir, "tidegate.db"), logger: silentLogger });
const config = { account: REPOSITORY.account, region: REPOSITORY.region, port: 0, reserveBytes: 0, garbageGraceMinutes: 0 };
const tools = { clock: systemClock, ids: randomIds, logger: silentLogger };
const registry = await createRegistry({ ...tools, dataDir: join(dataDir, "registry"), store, config });

async function pushBlob(name: string): Promise<void> {
  const content = contentOf(name);
  const key = `blob ${digestOf(content)}`;
  const id = await registry.uploads.start(REPOSITORY);
  const half = Math.floor(content.length / 2);
  await registry.uploads.append(REPOSITORY, id, { content: Readable.from([content.subarray(0, half)], { objectMode: false }) });
  await registry.uploads.append(REPOSITORY, id, { content: Readable.from([content.subarray(half)], { objectMode: false }) });
  ledger.begin(key, "there");
  await registry.uploads.complete(REPOSITORY, id, digestOf(content));
  ledger.done(key);
}

async function pushImage(tag: string, layers: readonly string[]): Promise<void> {
  for (const layer of layers) await pushBlob(layer);
  const manifest = manifestOver(layers);
  ledger.begin(`tag ${tag}`, digestOf(manifest));
  await registry.images.put(REPOSITORY, { bytes: manifest, tag });
  ledger.done(`tag ${tag}`);
}

if ((await registry.repositories.list(REPOSITORY)).length === 0) await registry.repositories.create(REPOSITORY);
for (let round = 1; round <= Number(rounds); round++) {
  await Promise.all([pushImage("latest", [`config-${round}`, "base"]), pushImage(`v${round}`, [`config-v${round}`, `layer-${round}`])]);
  // A layer that nobody uses after this, but for the garbage collection.
  await pushImage("gone", [`config-gone-${round}`]);
  ledger.begin("tag gone", null);
  await registry.images.deleteTag(REPOSITORY, "gone", { lastTagDeletesImage: true });
  ledger.done("tag gone");
  const orphan = `blob ${digestOf(contentOf(`config-gone-${round}`))}`;
  ledger.begin(orphan, null);
  await registry.collectGarbage();
  ledger.done(orphan);
}
const unfinished = await registry.uploads.start(REPOSITORY);
await registry.uploads.append(REPOSITORY, unfinished, { content: Readable.from([contentOf("unfinished").subarray(0, 5000)], { objectMode: false }) });
await registry.close();
await store.close();
