import { flushCompileCache } from "node:module";
import { systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import { protectFromOomKiller } from "../host/oom-score.ts";
import { readSuccession, SUCCESSION_SIGNAL, writeSuccession } from "../host/succession-file.ts";
import { chooseCidr } from "../network/pick-cidr.ts";
import { parseFlags } from "./flags.ts";
import { openInstance } from "./instance.ts";
import { createLogger } from "./logger.ts";
import { keepFlags } from "./last-start.ts";
import { OwnLog } from "./own-log.ts";
import { type Server, startServer } from "./server.ts";
import { closeUntaken, startSuccessor, succeed, takeHeritage, type Successor } from "./succession.ts";
import { VERSION } from "./version.ts";

let ownLog: OwnLog | undefined;
const logger = createLogger({ onWritten: (bytes) => ownLog?.wrote(bytes) });
/** After the start, which it would hold up where much is compiled anew. */
const KEEP_COMPILED_AFTER_MS = 5_000;
const toolbox = { clock: systemClock, ids: randomIds, logger };

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const heritage = takeHeritage();
  const flags = parseFlags(args);
  const config = await openInstance(flags, chooseCidr);
  if (heritage !== undefined) await succeed(heritage, systemClock);
  await keepFlags(config.dataDir, args);
  ownLog = new OwnLog({ dataDir: config.dataDir, logger });
  await ownLog.look();
  const startedMs = systemClock.steadyMs();
  const oomScore = protectFromOomKiller();
  const server = await startServer(config, toolbox, { version: VERSION, inherited: heritage?.listeners });
  if (heritage !== undefined) closeUntaken(heritage, server.listeners());
  const { instanceId, dataDir, port, account, region, vpcCidr, engine, auth } = config;
  logger.info("tidegate serves", {
    version: VERSION,
    instanceId,
    dataDir,
    port,
    account,
    region,
    vpcCidr,
    engine,
    auth,
    oomScore,
    durationMs: Math.round(systemClock.steadyMs() - startedMs),
  });
  if (auth === "iam") logger.info("until the policy engine comes, a valid key may do all");
  if (auth === "none") logger.warn("signatures are not checked (--auth none)");
  // A process that is killed later keeps nothing at its end.
  systemClock.setTimer(KEEP_COMPILED_AFTER_MS, flushCompileCache);
  endOnSignals(server, config.runDir);
}

/** SIGTERM and SIGINT end the control plane; {@link SUCCESSION_SIGNAL} ends it once a successor is there. */
function endOnSignals(server: Server, runDir: string): void {
  let ending = false;
  let successor: Successor | undefined;
  const end = (why: string): void => {
    if (ending) return;
    ending = true;
    logger.info("tidegate ends; what runs goes on", { signal: why });
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error("the end was not clean", { err: error });
        process.exit(1);
      },
    );
  };
  const endForGood = (signal: string): void => {
    successor?.end();
    end(signal);
  };
  process.on("SIGTERM", () => endForGood("SIGTERM"));
  process.on("SIGINT", () => endForGood("SIGINT"));
  const handOver = async (): Promise<void> => {
    const wanted = await readSuccession(runDir);
    if (wanted === undefined) return logger.warn("a successor was asked for, and no command named", { signal: SUCCESSION_SIGNAL });
    try {
      successor = startSuccessor(wanted, { listeners: server.listeners(), clock: systemClock });
      await writeSuccession(runDir, { ...wanted, successor: successor.identity });
      await successor.loaded;
      end(SUCCESSION_SIGNAL);
    } catch (error) {
      successor = undefined;
      await writeSuccession(runDir, { ...wanted, failed: messageOf(error) });
      throw error;
    }
  };
  process.on(SUCCESSION_SIGNAL, () => {
    if (ending || successor !== undefined) return;
    handOver().catch((error: unknown) => logger.error(`no successor, this process goes on: ${messageOf(error)}`, { err: error }));
  });
}

process.on("unhandledRejection", (error) => logger.error("a promise was left alone", { err: error }));

main().catch((error: unknown) => {
  const wrongUsage = isProblem(error, "invalid");
  if (!wrongUsage) logger.error(`tidegate cannot start: ${messageOf(error)}`, { err: error });
  process.stderr.write(`tidegate cannot start: ${messageOf(error)}\n`, () => process.exit(wrongUsage ? 2 : 1));
});
