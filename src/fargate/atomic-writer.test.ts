import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { writeAtomically, type WrittenFile } from "./atomic-writer.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tg-atomic-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (path: string, content: string, more: Partial<WrittenFile> = {}): WrittenFile => ({
  path,
  mode: 0o644,
  content: Buffer.from(content),
  ...more,
});
const names = async (): Promise<readonly string[]> => (await readdir(folder)).filter((name) => !name.startsWith("..")).toSorted();
const versions = async (): Promise<readonly string[]> => (await readdir(folder)).filter((name) => name.startsWith("..files."));

it("shows all files by way of one link, which is swapped when any of them changes, and only then", async () => {
  await writeAtomically(folder, [file("a", "1"), file("sub/b", "2")]);
  const first = await readlink(join(folder, "..data"));
  expect(await names()).toEqual(["a", "sub"]);
  expect(await readlink(join(folder, "a"))).toBe("..data/a");
  expect(await readFile(join(folder, "sub", "b"), "utf8")).toBe("2");
  await writeAtomically(folder, [file("a", "1"), file("sub/b", "2")]);
  expect(await readlink(join(folder, "..data"))).toBe(first);
  // Who has the old one open keeps it; who looks again sees the new one, whole.
  await writeAtomically(folder, [file("a", "changed"), file("c", "3")]);
  expect(await names()).toEqual(["a", "c"]);
  expect(await readFile(join(folder, "a"), "utf8")).toBe("changed");
  expect(await versions()).toEqual([await readlink(join(folder, "..data"))]);
  await writeAtomically(folder, []);
  expect(await names()).toEqual([]);
});

it("goes on where a kill left it, and takes over what was written in another way", async () => {
  await mkdir(join(folder, "..files.half"));
  await symlink("..files.half", join(folder, "..data_tmp"));
  await writeFile(join(folder, "a"), "plain");
  await writeAtomically(folder, [file("a", "1")]);
  expect(await readFile(join(folder, "a"), "utf8")).toBe("1");
  expect(await versions()).toHaveLength(1);
});

it("gives files their mode, their user, and to a group the right to read", async () => {
  await writeAtomically(folder, [file("own", "x", { mode: 0o600, userId: 7 }), file("all", "y")], 9);
  const of = async (name: string): Promise<readonly number[]> => {
    const { mode, uid, gid } = await stat(join(folder, name));
    return [mode & 0o7777, uid, gid];
  };
  expect(await of("own")).toEqual([0o640, 7, 9]);
  expect(await of("all")).toEqual([0o644, 0, 9]);
  expect(await of("..data")).toEqual([0o2755, 0, 9]);
  await chmod(folder, 0o700);
});

it("lets no path lead out", async () => {
  await expect(writeAtomically(folder, [file("../x", "")])).rejects.toMatchObject({ kind: "invalid" });
});
