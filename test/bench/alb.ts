/**
 * Requests a second through an Application Load Balancer beside a bare HAProxy, to the same two targets, in the same run, taking turns.
 * Short turns and the median of the
 * pairs' ratios, since the machine does other things too. `node test/bench/alb.ts [rounds] [targets: node | haproxy]`; `haproxy` targets answer faster, so that the load balancer counts for more.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { run } from "../../src/host/run.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { call, createLab, until, type Lab } from "../loadbalancer/support/lab.ts";
import { createRoom } from "../loadbalancer/support/room.ts";
import { figure, median } from "./figures.ts";

const [roundsText = "12", kind = "node"] = process.argv.slice(2);
const ROUNDS = Number(roundsText);
const CONNECTIONS = 64;

const folder = await mkdtemp(join(tmpdir(), "tidegate-bench-alb-"));
const lab = await createLab();
const supervisor = await createDaemonSupervisor({ config: lab.config, clock: systemClock, logger: silentLogger });
const room = await createRoom(lab, { store: createMemoryStore(), supervisor });
try {
  await room.balancers.start();
  const targets = kind === "haproxy" ? await fastTargets(lab) : [await lab.target(), await lab.target()];
  const group = await room.addGroup({ check: { intervalSeconds: 5 } });
  const { url } = await room.serve(group);
  for (const { ip, port } of targets) {
    await room.balancers.registrar.register(group, { ip, port });
    await until("healthy", async () => (await room.healthOf(group, { ip, port })) === "healthy");
  }
  const bare = await bareProxy(lab, targets);
  const rates: Record<"ours" | "bare", number[]> = { ours: [], bare: [] };
  for (let round = -1; round < ROUNDS; round++) {
    const turns = [["ours", url] as const, ["bare", bare] as const];
    for (const [name, at] of round % 2 === 0 ? turns : turns.toReversed()) {
      const rate = await load(at);
      // The first turn only warms up.
      if (round >= 0) rates[name].push(rate);
    }
  }
  const [ours, theirs] = [median(rates.ours), median(rates.bare)];
  const ratio = median(rates.ours.map((rate, round) => rate / (rates.bare[round] ?? Number.NaN)));
  await figure(
    kind === "haproxy" ? "alb-fast-targets" : "alb",
    `${ours.toFixed(0)} requests a second; bare HAProxy ${theirs.toFixed(0)}: ${ratio.toFixed(3)} times (aim 0.95)`,
    { rate: ours, bareRate: theirs, ratio },
  );
} finally {
  await room.balancers.removeEverything();
  await supervisor.stopAll();
  await lab.remove();
  await rm(folder, { recursive: true, force: true });
}

interface Address {
  readonly ip: string;
  readonly port: number;
}

async function load(url: string): Promise<number> {
  const { stdout } = await run(["wrk", "-t2", `-c${CONNECTIONS}`, "-d1s", `${url}/plain`], { timeoutMs: 120_000 });
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`requests failed:\n${stdout}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
}

async function fastTargets(lab: Lab): Promise<readonly Address[]> {
  const ips = [await lab.address(), await lab.address()];
  const lines = ips.map((ip) => `frontend f${ip}\n  bind ${ip}:8080\n  http-request return status 200 content-type text/plain string ok`);
  await startProxy(lab, "targets", lines.join("\n"));
  return ips.map((ip) => ({ ip, port: 8080 }));
}

async function bareProxy(lab: Lab, targets: readonly Address[]): Promise<string> {
  const ip = await lab.address();
  const servers = targets.map((target, index) => `  server s${index} ${target.ip}:${target.port}`);
  await startProxy(lab, "bare", [`frontend web`, `  bind ${ip}:80`, "  default_backend app", "backend app", ...servers].join("\n"));
  const url = `http://${ip}`;
  await until("the bare HAProxy answers", () =>
    call(url).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  return url;
}

/** Under the same supervisor as the load balancer's, so that the kernel gives both the same share of the cores. */
async function startProxy(lab: Lab, name: string, sections: string): Promise<void> {
  const config = join(folder, `${name}.cfg`);
  const socket = join(folder, `${name}.sock`);
  const global = `global\n  stats socket ${socket}\n`;
  const defaults = "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n";
  await writeFile(config, `${global}${defaults}${sections}\n`);
  await supervisor.ensure({
    name,
    command: ["/usr/sbin/haproxy", "-W", "-f", config],
    netnsPath: `/run/netns/${lab.netnsName}`,
    logFile: join(folder, `${name}.log`),
    ready: async () => existsSync(socket),
    readyTimeoutMs: 10_000,
  });
}
