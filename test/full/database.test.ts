/** The database on a disk that is full. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { collection } from "../../src/contracts/store.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { smallDisk } from "../support/small-disk.ts";

const things = collection<{ readonly text: string }>("test.thing");
const FULL = { kind: "unavailable", message: expect.stringMatching(/the disk that holds .*tidegate\.db is full.*nothing of it was written/s) };

it("refuses writes in words, goes on reading, can be opened, and writes again when there is room; nothing acknowledged is lost", async () => {
  await using disk = await smallDisk(48);
  const path = join(disk.folder, "tidegate.db");
  const open = () => openSqliteStore({ path, logger: silentLogger });
  let store = await open();
  const put = (key: string, text = key) => store.transact([{ op: "put", collection: things, key, value: { text } }]);
  const acknowledged = new Set<string>();
  const fillUp = async (name: string): Promise<unknown> => {
    for (let index = 0; index < 5_000; index++) {
      const key = `${name}/${index}`;
      try {
        await put(key, "x".repeat(20_000));
        acknowledged.add(key);
      } catch (error) {
        return error;
      }
    }
    throw new Error("the disk did not run full");
  };
  const holdsAll = async (): Promise<void> => {
    const keys = new Set((await store.list(things)).map(({ key }) => key));
    expect([...acknowledged].filter((key) => !keys.has(key))).toEqual([]);
  };

  await disk.fill(4 * 1024 * 1024);
  expect(await fillUp("first")).toMatchObject(FULL);
  await disk.fill();
  await expect(put("more")).rejects.toMatchObject(FULL);
  await holdsAll();
  // As after a kill and as after a clean end: neither may need room.
  await store.close();
  store = await open();
  await holdsAll();
  await expect(put("more")).rejects.toMatchObject(FULL);
  await disk.release();
  await put("again");
  acknowledged.add("again");
  await holdsAll();
  await store.close();

  // A database that has no log beside it yet, on a disk without a free block.
  await writeFile(join(disk.folder, "rest"), "");
  await disk.fill();
  const opened = await open().catch((error: unknown) => error);
  if (opened instanceof Error) expect(opened).toMatchObject({ kind: "unavailable", message: expect.stringContaining("is full") });
  await disk.release();
  store = opened instanceof Error ? await open() : (opened as typeof store);
  await holdsAll();
  await put("last");
  await store.close();
});
