import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { DaemonSpec, DaemonSupervisor } from "../contracts/daemon.ts";
import { silentLogger } from "../core/logger.ts";
import { VpcResolver } from "./vpc-resolver.ts";
import type { ActiveVpc } from "./vpc-facts.ts";

/** A resolver that is killed at a bad moment of the control plane's start. */

let runDir: string;

beforeEach(async () => void (runDir = await mkdtemp(join(tmpdir(), "tidegate-resolver-"))));
afterEach(() => rm(runDir, { recursive: true, force: true }));

/** A control socket that hangs up on the first `deaths` commands, as one does whose process dies; answers what it was told after that. */
async function resolverThatDies(deaths: number): Promise<{ readonly told: readonly string[] } & AsyncDisposable> {
  const told: string[] = [];
  let left = deaths;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data: Buffer) => {
      if (left-- > 0) {
        socket.destroy();
        return;
      }
      told.push(data.toString().split("\n")[0] ?? "");
      socket.end("ok\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(join(runDir, "dns-01234567.sock"), resolve));
  return { told, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

function resolverOf(ensured: DaemonSpec[]): VpcResolver {
  const ensure: DaemonSupervisor["ensure"] = async (spec) => {
    ensured.push(spec);
    return { name: spec.name, pid: () => 1, signal() {}, async stop() {} };
  };
  const vpc = { vpcId: "vpc-012345678", cidr: "10.1.0.0/16", region: "us-east-1", link: { hostAddress: "169.254.172.1" } } as ActiveVpc;
  return new VpcResolver({
    vpc,
    netnsPath: "/nowhere",
    runDir,
    logDir: runDir,
    supervisor: { ensure } as DaemonSupervisor,
    logger: silentLogger,
    names: () => new Map(),
    upstreams: () => [],
  });
}

test("one that dies before it has its names is waited for, and told them then", async () => {
  const ensured: DaemonSpec[] = [];
  await using daemon = await resolverThatDies(2);
  await resolverOf(ensured).ensure();
  expect(ensured).toHaveLength(3);
  expect(daemon.told[0]).toBe("UBCT1 local_zone . refuse");
});

test("one that keeps dying is an error in the end", async () => {
  const ensured: DaemonSpec[] = [];
  await using _daemon = await resolverThatDies(1_000);
  await expect(resolverOf(ensured).ensure()).rejects.toMatchObject({ kind: "unavailable" });
});
