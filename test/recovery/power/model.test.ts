/** The harness itself: it must find what wrong programs lose, and nothing in a right one. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readTextIfAny } from "../../../src/host/files.ts";
import { cutEverywhere, type Check } from "./cuts.ts";
import { Disk, EVERYTHING, FileInode, FolderInode, NOTHING, type Image } from "./disk.ts";
import { record } from "./record.ts";
import { bytesOf, parseTrace, threadsOf } from "./trace.ts";

const theFile: Check = async (folder, ledger) => {
  const problem = ledger.judge("file", (await readTextIfAny(join(folder, "inner/file"))) ?? null);
  return problem === undefined ? [] : [problem];
};

async function violationsOf(how: string): Promise<readonly string[]> {
  await using recording = await record("writer.ts", [{ args: [how] }]);
  return (await cutEverywhere(recording, theFile)).violations;
}

describe("the model of a disk that loses its power", () => {
  it("finds nothing wrong with a file that is synced, renamed, and its folder synced", async () => {
    await using recording = await record("writer.ts", [{ args: ["right"] }]);
    const report = await cutEverywhere(recording, theFile);
    expect(report.violations).toEqual([]);
    expect(report.syncs).toBe(9);
    expect(report.images).toBeGreaterThan(20);
  });

  it.each([
    ["no sync before the rename", /not there|''|must be/],
    ["no sync of the folder", /is not there; it must be 'round|is 'round \d .*must be 'round/],
    ["no sync of the folder above", /is not there; it must be 'round/],
    ["acknowledged before the sync", /must be 'round/],
    ["removed before the rename", /is not there; it must be 'round/],
    ["in place", /is ''; it must be|must be 'round/],
  ])("finds what a program loses that stores with: %s", async (how, words) => {
    const violations = await violationsOf(how);
    expect(violations.length).toBeGreaterThan(0);
    expect(violations.join("\n")).toMatch(words);
    expect(violations[0]).toMatch(/^seed \d+, cut \d+ \(/);
  });

  it("records a program that is killed before a sync, and one that goes on after it", async () => {
    await using recording = await record("writer.ts", [{ args: ["right"], killedBeforeSync: 3 }]);
    const [calls = []] = recording.runs;
    expect(calls.filter((call) => call.name === "fsync" && call.result === 0)).toHaveLength(2);
    expect(await readFile(recording.ledger, "utf8")).not.toContain("done");
    expect((await cutEverywhere(recording, theFile)).violations).toEqual([]);
  });

  it("covers by a sync what was written before it began, not what was written while it ran", () => {
    const disk = new Disk();
    const file = new FileInode();
    disk.changeNames(disk.root, new Map([["a", file]]));
    disk.sync(disk.root, disk.position);
    disk.changeData(file, { kind: "write", offset: 0, bytes: Buffer.from("one") });
    const began = disk.position;
    disk.changeData(file, { kind: "write", offset: 3, bytes: Buffer.from("two") });
    disk.sync(file, began);
    expect(disk.image(NOTHING).get("a")?.toString()).toBe("one");
    expect(disk.image(EVERYTHING).get("a")?.toString()).toBe("onetwo");
  });

  it("may keep either half of a rename between folders, and each sector of a write by itself", () => {
    const disk = new Disk();
    const [one, two, file] = [new FolderInode(), new FolderInode(), new FileInode()];
    disk.changeNames(
      disk.root,
      new Map<string, FolderInode>([
        ["one", one],
        ["two", two],
      ]),
    );
    disk.changeNames(one, new Map([["a", file]]));
    for (const folder of [disk.root, one]) disk.sync(folder, disk.position);
    disk.changeNames(two, new Map([["a", file]]));
    disk.changeNames(one, new Map([["a", undefined]]));
    disk.changeData(file, { kind: "write", offset: 500, bytes: Buffer.alloc(1000, 1) });
    const cut = (keeps: readonly boolean[]): Image => {
      const names = [...keeps];
      return disk.image({ name: "", keepsNames: () => names.shift() ?? false, keepsData: () => (sector) => sector === 1 });
    };
    expect([...cut([true, false]).keys()]).toEqual(["one/", "two/"]);
    expect([...cut([true, true]).keys()]).toEqual(["one/", "two/", "two/a"]);
    const image = cut([false, true]);
    expect([...image.keys()]).toEqual(["one/", "one/a", "two/", "two/a"]);
    const content = image.get("two/a") ?? Buffer.alloc(0);
    expect(content.length).toBe(1500);
    expect([content[511], content[512], content[1023], content[1024]]).toEqual([0, 1, 1, 0]);
  });

  it("reads calls that others interrupt, in the order in which they ended", () => {
    const calls = parseTrace(
      [
        "7 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0}, 88) = 8",
        "7 clone(child_stack=NULL, flags=SIGCHLD) = 9",
        String.raw`7 openat(AT_FDCWD, "\x2f\x61", O_RDWR|O_CREAT, 0644) = 5`,
        "7 fsync(5 <unfinished ...>",
        String.raw`8 pwritev(5, [{iov_base="\x68\x69", iov_len=2}, {iov_base="\x21", iov_len=1}], 2, 4) = 3`,
        "7 <... fsync resumed>) = 0",
        String.raw`8 unlink("\x2f\x62") = -1 ENOENT (No such file or directory)`,
        String.raw`8 write(5, "\x68", 1 <unfinished ...>`,
        "8 +++ killed by SIGKILL +++",
      ].join("\n"),
    );
    expect(calls.slice(2).map(({ name, result, beganAfter }) => [name, result, beganAfter])).toEqual([
      ["openat", 5, 2],
      ["pwritev", 3, 3],
      ["fsync", 0, 3],
      ["write", undefined, 5],
    ]);
    expect([...threadsOf(calls)]).toEqual([7, 8]);
    expect(bytesOf(calls[3]?.args[1] ?? "").toString()).toBe("hi!");
  });
});
