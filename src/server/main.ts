import { systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import { chooseCidr } from "../network/pick-cidr.ts";
import { parseFlags } from "./flags.ts";
import { openInstance } from "./instance.ts";
import { createLogger } from "./logger.ts";
import { startServer } from "./server.ts";
import { VERSION } from "./version.ts";

const logger = createLogger();
const toolbox = { clock: systemClock, ids: randomIds, logger };

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2));
  const config = await openInstance(flags, chooseCidr);
  const startedMs = systemClock.steadyMs();
  const server = await startServer(config, toolbox, VERSION);
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
    durationMs: Math.round(systemClock.steadyMs() - startedMs),
  });
  if (auth === "iam") logger.info("until the policy engine comes, a valid key may do all");
  if (auth === "none") logger.warn("signatures are not checked (--auth none)");

  let ending = false;
  const end = (signal: string): void => {
    if (ending) return;
    ending = true;
    logger.info("tidegate ends; what runs goes on", { signal });
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error("the end was not clean", { err: error });
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => end("SIGTERM"));
  process.on("SIGINT", () => end("SIGINT"));
}

process.on("unhandledRejection", (error) => logger.error("a promise was left alone", { err: error }));

main().catch((error: unknown) => {
  const wrongUsage = isProblem(error, "invalid");
  if (!wrongUsage) logger.error(`tidegate cannot start: ${messageOf(error)}`, { err: error });
  process.stderr.write(`tidegate cannot start: ${messageOf(error)}\n`, () => process.exit(wrongUsage ? 2 : 1));
});
