/** A disk that takes half a second for each sync: what the control plane does meanwhile. strace holds up the calls, and is taken away again. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { StatusReport } from "../../../src/core/status-report.ts";
import { startInstance, until, type TestInstance } from "../../support/instance.ts";

const SYNC_SECONDS = 0.6;

/** Each sync of the process takes so much longer, until the answer is disposed. */
async function slowSyncs(pid: number): Promise<AsyncDisposable> {
  const inject = `inject=fsync,fdatasync:delay_enter=${SYNC_SECONDS * 1_000_000}`;
  const strace = spawn("strace", ["-f", "-p", String(pid), "-e", "trace=fsync,fdatasync", "-e", inject, "-o", "/dev/null"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = new Promise<void>((done) => strace.once("close", () => done()));
  let words = "";
  strace.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
  await until("strace is attached", async () => words.includes("attached"));
  return {
    async [Symbol.asyncDispose]() {
      strace.kill("SIGINT");
      await ended;
    },
  };
}

async function serverPid(instance: TestInstance): Promise<number> {
  const { runDir } = JSON.parse(await readFile(join(instance.dataDir, "instance.json"), "utf8")) as { readonly runDir: string };
  return (JSON.parse(await readFile(join(runDir, "server.json"), "utf8")) as { readonly pid: number }).pid;
}

const names = (report: { readonly clusterArns: readonly string[] }): readonly string[] =>
  report.clusterArns.map((arn) => arn.split("/").at(-1) ?? "");

it("answers reads, stores what is written, shares a sync between writers, and status says that the disk is slow", { timeout: 180_000 }, async () => {
  const instance = await startInstance(["--engine", "simulated"]);
  try {
    const wanted = Array.from({ length: 4 }, (_, index) => `slow-${index}`);
    const create = (name: string): Promise<unknown> => instance.aws("ecs", "create-cluster", "--cluster-name", name);
    {
      await using _ = await slowSyncs(await serverPid(instance));
      const writes = Promise.all(wanted.map(create));
      let slowestReadMs = 0;
      const writing = { now: true };
      void writes.finally(() => (writing.now = false)).catch(() => {});
      for (let reads = 0; writing.now || reads === 0; reads++) {
        const beganMs = performance.now();
        expect((await fetch(`${instance.endpoint}/healthz`)).status).toBeLessThan(599);
        slowestReadMs = Math.max(slowestReadMs, performance.now() - beganMs);
      }
      await writes;
      console.log(`with syncs of ${SYNC_SECONDS} s, the slowest answer while four writers wrote: ${(slowestReadMs / 1000).toFixed(1)} s`);
      // How many commits four writers share is up to the moment: each look brings another.
      let looks = 0;
      const report = await until("status says that the disk is slow", async () => {
        await create(`look-${looks++}`);
        const { stdout } = await instance.cli(["status", "--json"], { okCodes: [0, 1] });
        const { problems } = JSON.parse(stdout) as StatusReport;
        return problems.find((problem) => problem.subject === "database");
      });
      expect(report.what).toMatch(/the disk is slow: \d+ of \d+ commits in the last minute took longer than 0.5 s/);
    }
    await instance.kill();
    await instance.up();
    expect(names(await instance.aws("ecs", "list-clusters"))).toEqual(expect.arrayContaining(wanted));
  } finally {
    await instance.remove();
  }
});
