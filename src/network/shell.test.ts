import { describe, expect, test } from "vitest";
import { BatchQueue, readIpJson } from "./shell.ts";

/** A program that runs until it is told to end; `fails` are the texts that it does not take. */
function programOf(fails: string) {
  const runs: { readonly text: string; end(): void }[] = [];
  const run = (text: string): Promise<void> =>
    new Promise((resolve, reject) => runs.push({ text, end: () => (text.includes(fails) ? reject(new Error(`no ${text}`)) : resolve()) }));
  const texts = (): readonly string[] => runs.map(({ text }) => text);
  const next = async (): Promise<void> => {
    runs.at(-1)?.end();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  return { run, texts, next };
}

test("what is asked for while a run is under way goes into the next together; one's failure is not the others'", async () => {
  const program = programOf("bad");
  const queue = new BatchQueue(program.run);
  const asked = ["a ", "b ", "bad ", "c "].map((text) => queue.apply(() => text));
  const settled = Promise.allSettled(asked);
  expect(program.texts()).toEqual(["a "]);
  for (let turn = 0; turn < 5; turn++) await program.next();
  expect(program.texts()).toEqual(["a ", "b bad c ", "b ", "bad ", "c "]);
  expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
});

test("what cannot be written any more fails alone: what waits beside it, and comes later, is done", async () => {
  const program = programOf("bad");
  const queue = new BatchQueue(program.run);
  const gone = (): never => {
    throw new Error("the VPC is gone");
  };
  const asked = [queue.apply(() => "a "), queue.apply(gone), queue.apply(() => "b ")];
  const settled = Promise.allSettled(asked);
  await program.next();
  await program.next();
  expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  await expect(queue.apply(gone)).rejects.toThrow("the VPC is gone");
  const later = queue.apply(() => "c ");
  await program.next();
  await later;
  expect(program.texts()).toEqual(["a ", "b ", "c "]);
});

describe("what `ip -j` lists", () => {
  test("is without the empty objects that stand for links of another kind", () => {
    expect(readIpJson({ stdout: '[{},{"ifname":"tg1234ab-0a1b2c"},{}]\n' })).toEqual([{ ifname: "tg1234ab-0a1b2c" }]);
    expect(readIpJson({ stdout: "[{},{}]" })).toEqual([]);
    expect(readIpJson({ stdout: "\n" })).toEqual([]);
  });
});
