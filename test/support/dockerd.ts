import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { run } from "../../src/host/run.ts";
import { until } from "./instance.ts";

export interface PrivateDocker extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** Where its bridge is; with `bridged` alone. */
  readonly netnsPath?: string;
}

/**
 * A Docker engine of the test's own, which shares nothing with one that the machine may run. It makes no bridge and no rule, unless `bridged`:
 * then it has both as by default, in a network namespace of its own.
 */
export async function startDockerd({ bridged = false }: { readonly bridged?: boolean } = {}): Promise<PrivateDocker> {
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
  const netns = bridged ? basename(folder) : undefined;
  if (netns !== undefined) await run(["ip", "netns", "add", netns]);
  const prefix = netns === undefined ? [] : ["nsenter", `--net=/run/netns/${netns}`, "--"];
  const withoutNetwork = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];
  const [program = "", ...args] = [...prefix, "dockerd", "--host", host, ...folders, ...(bridged ? [] : withoutNetwork)];
  const daemon = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const words: Buffer[] = [];
  daemon.stderr.on("data", (chunk: Buffer) => words.push(chunk));
  const ended = new Promise<void>((resolve) => daemon.on("close", () => resolve()));
  const docker: PrivateDocker = {
    host,
    ...(netns !== undefined && { netnsPath: `/run/netns/${netns}` }),
    async [Symbol.asyncDispose]() {
      daemon.kill("SIGTERM");
      await ended;
      // The host's namespace, kept there for containers with the host's network.
      await run(["umount", "--lazy", join(folder, "exec/netns/default")], { okCodes: [0, 1, 32] });
      if (netns !== undefined) await run(["ip", "netns", "delete", netns]);
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
