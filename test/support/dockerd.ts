import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/host/run.ts";
import { until } from "./instance.ts";

export interface PrivateDocker extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly host: string;
}

/** A Docker engine of the test's own: it makes no bridge and no rule, and shares nothing with one that the machine may run. */
export async function startDockerd(): Promise<PrivateDocker> {
  const folder = await mkdtemp(join(tmpdir(), "tg-docker-"));
  await writeFile(join(folder, "empty.json"), "{}");
  const host = `unix://${join(folder, "docker.sock")}`;
  const folders = [
    "--data-root",
    join(folder, "data"),
    "--exec-root",
    join(folder, "exec"),
    "--pidfile",
    join(folder, "pid"),
    "--config-file",
    join(folder, "empty.json"),
  ];
  const network = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];
  const daemon = spawn("dockerd", ["--host", host, ...folders, ...network], { stdio: ["ignore", "ignore", "pipe"] });
  const words: Buffer[] = [];
  daemon.stderr.on("data", (chunk: Buffer) => words.push(chunk));
  const ended = new Promise<void>((resolve) => daemon.on("close", () => resolve()));
  const docker: PrivateDocker = {
    host,
    async [Symbol.asyncDispose]() {
      daemon.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await until("dockerd answers", async () => {
      if (daemon.exitCode !== null) throw new Error(`dockerd ended with ${daemon.exitCode}: ${Buffer.concat(words).toString().slice(-2000)}`);
      await run(["docker", "version"], { environment: { DOCKER_HOST: host } });
      return true;
    });
  } catch (error) {
    await docker[Symbol.asyncDispose]();
    throw error;
  }
  return docker;
}
