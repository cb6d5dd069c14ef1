import { expect, test } from "vitest";
import { killProcess } from "./process.ts";
import { run } from "./run.ts";

test("answers what was printed; a failure names the command, its end and its last words", async () => {
  expect(await run(["sh", "-c", "cat; echo no >&2; exit 3"], { stdin: "yes", okCodes: [3] })).toEqual({ code: 3, stdout: "yes", stderr: "no\n" });
  await expect(run(["sh", "-c", "echo why >&2; exit 4"])).rejects.toThrow("sh -c echo why >&2; exit 4 failed (exit code 4): why");
  await expect(run(["/nonexistent/program"])).rejects.toMatchObject({ kind: "unavailable" });
});

test("one that takes too long is killed, and not waited for though what it has started holds its output open", async () => {
  // The shell says who its child is, which lives on.
  const failure = await run(["sh", "-c", "sleep 100 & echo $! >&2; wait"], { timeoutMs: 1_000 }).catch((error: unknown) => error as Error);
  const [, pid] = /signal SIGKILL\): (\d+)$/.exec((failure as Error).message) ?? [];
  if (pid !== undefined) killProcess(Number(pid));
  expect(failure).toMatchObject({ kind: "unavailable" });
});
