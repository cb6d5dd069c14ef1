import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../host/run.ts";
import { HostsFile } from "./hosts-file.ts";

/** A hosts file that is mounted by itself, as in a container, cannot be replaced: it is written in place. */

const FOUND = "127.0.0.1 localhost\n10.0.0.7 db\n";
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-hosts-"));
  path = join(folder, "hosts");
  await writeFile(path, FOUND);
  await run(["mount", "--bind", path, path]);
});

afterEach(async () => {
  await run(["umount", path]);
  await rm(folder, { recursive: true, force: true });
});

test("names come and go, and it is then as it was found", async () => {
  const { ino } = await stat(path);
  const hosts = new HostsFile(path, "abcdef");
  await hosts.write([{ name: "a.tidegate.internal", addresses: ["10.1.0.4", "10.1.0.5"] }]);
  const block = "# tidegate abcdef begin\n10.1.0.4 a.tidegate.internal\n10.1.0.5 a.tidegate.internal\n# tidegate abcdef end\n";
  expect(await readFile(path, "utf8")).toBe(FOUND + block);
  await hosts.write([{ name: "b", addresses: ["10.1.0.4"] }]);
  expect(await readFile(path, "utf8")).toBe(`${FOUND}# tidegate abcdef begin\n10.1.0.4 b\n# tidegate abcdef end\n`);
  await hosts.write([]);
  expect(await readFile(path, "utf8")).toBe(FOUND);
  expect((await stat(path)).ino).toBe(ino);
});
