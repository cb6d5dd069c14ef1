/**
 * Writes docs/coverage.md: opens the rooms of an instance in a folder of its own, with no compute and nothing started, and asks its services.
 * With `--check` it writes nothing, and exits 1 when the file is stale.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "../src/core/clock.ts";
import type { InstanceConfig } from "../src/core/config.ts";
import { randomIds } from "../src/core/ids.ts";
import { silentLogger } from "../src/core/logger.ts";
import { openRooms } from "../src/server/rooms.ts";
import { closeRooms } from "../src/server/server.ts";
import { coverageReport } from "./coverage-report.ts";
import { podCoverage } from "./pod-coverage.ts";

const FILE = resolve(import.meta.dirname, "..", "docs", "coverage.md");

/** The report on the services that `server` ties together, none left out, and on pods. */
async function reportOfServer(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-coverage-"));
  const config: InstanceConfig = {
    instanceId: randomIds.hex(6),
    dataDir: join(folder, "data"),
    runDir: join(folder, "run"),
    port: 4566,
    account: "100000000000",
    region: "us-east-1",
    vpcCidr: "172.31.0.0/16",
    auth: "iam",
    engine: "simulated",
    hostPorts: [],
    publish: [],
    manageHosts: false,
    trustHostCa: false,
  };
  try {
    const rooms = await openRooms(config, { clock: systemClock, ids: randomIds, logger: silentLogger });
    try {
      return `${await coverageReport(rooms.services)}\n${podCoverage()}`;
    } finally {
      await closeRooms(rooms);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const report = await reportOfServer();
if (!process.argv.includes("--check")) await writeFile(FILE, report);
else if ((await readFile(FILE, "utf8").catch(() => "")) !== report) {
  console.error("docs/coverage.md is stale: run `node tools/write-coverage.ts`");
  process.exitCode = 1;
}
