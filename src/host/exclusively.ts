import { spawn } from "node:child_process";
import { Problem } from "../core/problem.ts";

/**
 * Runs `work` while no other process that asks for the same file or folder does: what several instances on a host share is read and
 * changed in one go. The kernel frees the lock when this process dies. The file must be there; nothing is written to it.
 * @throws Problem `unavailable` when the lock cannot be had.
 */
export async function exclusively<T>(path: string, work: () => Promise<T>): Promise<T> {
  const holder = spawn("flock", [path, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise<void>((resolve) => holder.once("close", () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.once("error", (cause) => reject(new Problem("unavailable", `cannot run flock: ${cause.message}`, { cause })));
      holder.once("close", (code) => reject(new Problem("unavailable", `cannot lock ${path}: flock ended with ${code}`)));
    });
    return await work();
  } finally {
    holder.stdin.on("error", () => {});
    holder.stdin.end();
    await ended;
  }
}
