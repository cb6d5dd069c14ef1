import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { DaemonSupervisor } from "../../src/contracts/daemon.ts";
import type { Store } from "../../src/contracts/store.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { call, createLab, until, type Lab } from "./support/lab.ts";
import { createRoom, loudLogger, SCOPE, type Room } from "./support/room.ts";

let lab: Lab;
let store: Store;
let supervisor: DaemonSupervisor;
let room: Room;

async function startRoom(): Promise<void> {
  supervisor = await createDaemonSupervisor({ config: lab.config, clock: systemClock, logger: loudLogger });
  room = await createRoom(lab, { store, supervisor });
  await room.balancers.start();
}

beforeEach(async () => {
  lab = await createLab();
  store = createMemoryStore();
  await startRoom();
});

afterEach(async () => {
  await room.balancers.removeEverything();
  await supervisor.stopAll();
  await lab.remove();
});

function proxyPid(): number | undefined {
  return supervisor.list().find(({ name }) => name === `haproxy-${lab.vpcId}`)?.pid;
}

describe("HAProxy", () => {
  it("comes back after a kill with its targets, those that never passed a check still without requests", async () => {
    const group = await room.addGroup({ check: { unhealthyThreshold: 10 } });
    const { url } = await room.serve(group);
    const [good, waiting] = [await lab.target(), await lab.target()];
    await waiting.setHealth("500");
    await room.addHealthy(group, good);
    await room.balancers.registrar.register(group, waiting);
    await until("known to be tried", async () => (await room.balancers.registrar.health(group, waiting))?.reason === "Elb.InitialHealthChecking");
    const pid = proxyPid() ?? 0;
    process.kill(pid, "SIGKILL");
    await until("a new one answers", async () => {
      const next = proxyPid();
      return (
        next !== undefined &&
        next !== pid &&
        (await call(url).then(
          ({ status }) => status === 200,
          () => false,
        ))
      );
    });
    for (let count = 0; count < 20; count++) expect((await call(url)).status).toBe(200);
    expect(await waiting.seen()).toBe(0);
    const late = await lab.target();
    await room.addHealthy(group, late);
  });

  it("goes on without Tidegate, judges health by itself, and is adopted", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    const [first, second] = [await lab.target(), await lab.target()];
    await room.addHealthy(group, first);
    await room.addHealthy(group, second);
    const pid = proxyPid();
    await room.balancers.close();
    supervisor.release();

    await second.setHealth("500");
    await until("the sick target is out", async () => {
      const before = await second.seen();
      for (let count = 0; count < 6; count++) await call(url);
      return (await second.seen()) === before;
    });

    await startRoom();
    await until("what happened meanwhile is known", async () => (await room.healthOf(group, second)) === "unhealthy");
    expect(proxyPid()).toBe(pid);
    expect(await room.healthOf(group, first)).toBe("healthy");
    await room.balancers.registrar.deregister(group, second);
    await until("drained", async () => (await room.healthOf(group, second)) === "gone");
    await room.addHealthy(group, await lab.target());
  });

  it("is swept when its load balancers were deleted while nobody looked", async () => {
    const group = await room.addGroup();
    const { arn } = await room.serve(group);
    const pid = proxyPid() ?? 0;
    await room.balancers.close();
    supervisor.release();
    await room.balancers.api.deleteLoadBalancer(arn);
    await startRoom();
    await until("gone", async () => lab.attached.size === 0 && lab.names.size === 0);
    await until("ended", async () => !existsSync(`/proc/${pid}`));
    expect(existsSync(join(lab.config.dataDir, "haproxy", lab.vpcId))).toBe(false);
    expect(await room.balancers.api.loadBalancers(SCOPE)).toEqual([]);
  });

  it("wakes nobody while nothing changes", async () => {
    const group = await room.addGroup();
    await room.serve(group);
    await room.addHealthy(group, await lab.target());
    const [controller] = room.balancers.controllers;
    await until("settled", async () => (await controller?.reconcile(lab.vpcId)) !== undefined);
    expect(await controller?.reconcile(lab.vpcId)).toEqual({});
  });
});
