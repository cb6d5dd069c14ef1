import { expect, test } from "vitest";
import { streamCommand } from "./stream-command.ts";

test.each([
  ["no space left on device", /^\nThe disk is full\. Free some space/],
  ["something else", /^$/],
])("a program that ends with %j says what to do", async (words, advice) => {
  const failed = streamCommand(["sh", "-c", `echo "storing: write /x: ${words}" >&2; exit 3`], { name: "it", onLine: () => {} });
  await expect(failed).rejects.toMatchObject({
    summary: "it failed (exit code 3)",
    advice: expect.stringMatching(advice),
    message: expect.stringContaining(words),
  });
});
