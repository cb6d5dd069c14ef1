/** For tests on real containers: an instance of its own with supervisor, containerd and a tiny image, removed whole afterwards. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { Logger } from "../../src/core/logger.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { createCriRuntime } from "../../src/engines/cri/runtime.ts";
import type { CriRuntime } from "../../src/engines/cri/runtime.ts";
import { writeTinyImage } from "./tiny-image.ts";

export interface CriHarness {
  readonly instanceId: string;
  readonly folder: string;
  readonly config: { readonly instanceId: string; readonly dataDir: string; readonly runDir: string };
  /** containerd's. */
  readonly socket: string;
  /** Reference of the tiny image, already imported. */
  readonly shellImage: string;
  runtime(): CriRuntime;
  /** Closes the connection and makes another, as a restarted Tidegate would. */
  reconnect(): Promise<CriRuntime>;
  /** SIGKILLs containerd; resolves when the supervisor has it back. */
  killContainerd(): Promise<void>;
  /** Removes everything; throws when something is left. */
  dispose(): Promise<void>;
}

export interface CriHarnessOptions {
  /** Where pulls go on 127.0.0.1; by default nobody listens there. */
  readonly registryPort?: number;
  readonly logger?: Logger;
  /** Where its folder is made; default the system's for temporary files. */
  readonly parent?: string;
}

export async function criHarness(options: CriHarnessOptions = {}): Promise<CriHarness> {
  const instanceId = randomIds.hex(6);
  const folder = await mkdtemp(join(options.parent ?? tmpdir(), "tg-cri-"));
  const config = { instanceId, dataDir: join(folder, "data"), runDir: join(folder, "run") };
  await mkdir(config.dataDir, { recursive: true });
  const logger = options.logger ?? silentLogger;
  const supervisor = await createDaemonSupervisor({ config, clock: systemClock, logger });
  const connect = (): Promise<CriRuntime> =>
    createCriRuntime({ config, supervisor, clock: systemClock, logger, registryPort: options.registryPort ?? 1 });
  let runtime = await connect();
  const tar = join(folder, "tiny.tar");
  const { reference } = await writeTinyImage(tar);
  await runtime.importImage(tar, reference);
  const pid = (): number | undefined => supervisor.list().find((daemon) => daemon.name === "containerd")?.pid;
  return {
    instanceId,
    folder,
    config,
    socket: join(config.runDir, "containerd.sock"),
    shellImage: reference,
    runtime: () => runtime,
    async reconnect() {
      await runtime.close();
      runtime = await connect();
      return runtime;
    },
    async killContainerd() {
      const before = pid();
      process.kill(before ?? 0, "SIGKILL");
      while (pid() === undefined || pid() === before) await systemClock.sleep(20);
      // The first call may still go to the dead one's connection.
      while (
        !(await runtime.fingerprint().then(
          () => true,
          () => false,
        ))
      )
        await systemClock.sleep(20);
    },
    async dispose() {
      try {
        await runtime.removeEverything({ purge: true });
      } finally {
        await supervisor.stopAll();
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}
