/** An earlier Tidegate of this repository's history, to be upgraded from. */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "../../src/host/run.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** The last commit of before the database had more than one schema. */
export const OLDER_COMMIT = "97303beb2a7a380c9fe628bb31341d97f607f67d";

export interface OlderTidegate extends AsyncDisposable {
  /** A checkout; its packages are this one's. */
  readonly root: string;
}

/** @throws Error that says what to do when the clone has no such history. */
export async function checkOutOlder(commit = OLDER_COMMIT): Promise<OlderTidegate> {
  await run(["git", "-C", ROOT, "cat-file", "-e", `${commit}^{commit}`]).catch((cause: unknown) => {
    throw new Error(`this clone does not have commit ${commit}, which the upgrade starts from: fetch the whole history (git fetch --unshallow)`, {
      cause,
    });
  });
  const root = await mkdtemp(join(tmpdir(), "tidegate-older-"));
  await run(["sh", "-c", `git -C "$1" archive "$2" | tar -x -C "$3"`, "sh", ROOT, commit, root], { timeoutMs: 120_000 });
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}
