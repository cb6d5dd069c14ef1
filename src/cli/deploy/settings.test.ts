import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UsageError } from "../command.ts";
import { mergeSettings, parseEnvFile, readSettings, writeSettings } from "./settings.ts";

describe("flags over kept settings over defaults", () => {
  test("a folder alone gives a service by its name with Fargate's smallest size, two tasks, the image's port", () => {
    expect(mergeSettings({}, {}, "My Shop_API")).toMatchObject({
      name: "my-shop-api",
      cluster: "default",
      cpu: 256,
      memory: 512,
      count: 2,
      healthPath: "/",
      port: undefined,
    });
  });

  test("a flag wins over what was kept; maps are joined name by name; a list of env files replaces the kept one", () => {
    const kept = { name: "shop", cpu: 512, memory: 2048, environment: { A: "1", B: "2" }, envFiles: ["a.env"], buildArgs: { X: "1" } };
    const merged = mergeSettings(kept, { cpu: "1024", env: ["B=two=2", "C="], envFile: ["b.env"], buildArg: ["Y=2"] }, "folder");
    expect(merged).toMatchObject({
      name: "shop",
      cpu: 1024,
      memory: 2048,
      environment: { A: "1", B: "two=2", C: "" },
      envFiles: ["b.env"],
      buildArgs: { X: "1", Y: "2" },
    });
  });

  test.each([
    [{ name: "Shop" }, '"Shop" is no service name'],
    [{ name: "a".repeat(33) }, "up to 32 lower-case letters"],
    [{ port: "80a" }, 'port must be a whole number from 0 to 65535, not "80a"'],
    [{ count: "-1" }, "count must be a whole number"],
    [{ cpu: "" }, "cpu must be a whole number"],
    [{ memory: "1.5" }, "memory must be a whole number"],
    [{ cpu: "300" }, "Fargate has no tasks of cpu 300; there are 256, 512, 1024, 2048, 4096, 8192, 16384, 32768 (1024 = 1 vCPU)"],
    [{ memory: "4096" }, "no tasks of cpu 256 with memory 4096; with cpu 256 the memory can be 512, 1024 or 2048 MiB (--memory)"],
    [
      { cpu: "1024", memory: "512" },
      "no tasks of cpu 1024 with memory 512; with cpu 1024 the memory can be 2048 to 8192 MiB in steps of 1024 (--memory)",
    ],
    [{ cpu: "8192", memory: "18432" }, "with cpu 8192 the memory can be 16384 to 61440 MiB in steps of 4096"],
    [{ env: ["=x"] }, '--env takes NAME=value, not "=x"'],
    [{ buildSecret: ["token"] }, '--build-secret takes id=file, not "token"'],
    [{ healthPath: "health" }, 'the health path must begin with "/", not "health"'],
  ])("%j is refused", (flags, words) => {
    expect(() => mergeSettings({}, flags, "folder")).toThrow(UsageError);
    expect(() => mergeSettings({}, flags, "folder")).toThrow(words);
  });
});

test("a pair that Fargate lacks is refused also when one half of it was kept", () => {
  expect(() => mergeSettings({ cpu: 2048, memory: 4096 }, { cpu: "4096" }, "folder")).toThrow("with cpu 4096 the memory can be 8192 to 30720 MiB");
  expect(mergeSettings({ cpu: 2048, memory: 4096 }, { memory: "5120" }, "folder")).toMatchObject({ cpu: 2048, memory: 5120 });
});

describe("tidegate.json", () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), "tidegate-settings-"))));
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const path = (): string => join(folder, "tidegate.json");

  test("what was written is what the next deploy reads, without flags", async () => {
    const settings = await readSettings(folder, { name: "shop", port: "8080", env: ["A=1"], count: "3", target: "runtime" });
    await writeSettings(folder, settings);
    expect(await readSettings(folder, {})).toEqual(settings);
    expect(JSON.parse(await readFile(path(), "utf8"))).toEqual({
      name: "shop",
      target: "runtime",
      port: 8080,
      cpu: 256,
      memory: 512,
      count: 3,
      environment: { A: "1" },
    });
  });

  test("is left alone when it says the same, in whatever order and layout", async () => {
    await writeFile(path(), '{"count":2,"memory":512,"cpu":256,"name":"shop"}');
    const before = await stat(path());
    await writeSettings(folder, await readSettings(folder, {}));
    expect((await stat(path())).ino).toBe(before.ino);
  });

  test.each([
    ["{", "is no JSON"],
    ["[]", "must hold a JSON object"],
    ['{"ports":[80]}', 'there is no setting "ports"; there are name, on, cluster'],
    ['{"environment":["A=1"]}', '"environment" must be an object of strings'],
    ['{"envFiles":"a.env"}', '"envFiles" must be a list of strings'],
    ['{"name":3}', '"name" must be a string'],
  ])("that says %s is refused with its path", async (text, words) => {
    await writeFile(path(), text);
    await expect(readSettings(folder, {})).rejects.toThrow(UsageError);
    await expect(readSettings(folder, {})).rejects.toThrow(words);
    await expect(readSettings(folder, {})).rejects.toThrow(path());
  });
});

describe("env files", () => {
  test("comments, empty lines, export and quotes", () => {
    const text = '# a comment\n\nA=1\nexport B=two words\nC="quoted = yes"\nD=\'single\'\nE="half\nF=\r\n';
    expect(parseEnvFile("x.env", text)).toEqual({ A: "1", B: "two words", C: "quoted = yes", D: "single", E: '"half', F: "" });
  });

  test("another line is refused with its number", () => {
    expect(() => parseEnvFile("x.env", "A=1\nno equals sign")).toThrow("x.env:2 is no NAME=value line");
  });
});

test("memory that nobody said is the least that goes with the cpu", () => {
  expect(mergeSettings({}, { cpu: "1024" }, "folder")).toMatchObject({ cpu: 1024, memory: 2048 });
  expect(mergeSettings({}, {}, "folder")).toMatchObject({ cpu: 256, memory: 512 });
});
