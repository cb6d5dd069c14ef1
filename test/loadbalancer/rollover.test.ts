import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { call, createLab, until, type Lab } from "./support/lab.ts";
import { startLoad } from "./support/load.ts";
import { createRoom, loudLogger, type Room } from "./support/room.ts";

let lab: Lab;
let room: Room;

beforeAll(async () => {
  lab = await createLab();
  const supervisor = await createDaemonSupervisor({ config: lab.config, clock: systemClock, logger: loudLogger });
  room = await createRoom(lab, { store: createMemoryStore(), supervisor });
  await room.balancers.start();
});

afterAll(async () => {
  await room.balancers.removeEverything();
  await lab.remove();
});

function loads(url: string, pauseMs: () => number) {
  const body = Buffer.alloc(100_000, "x");
  return [
    startLoad(url, { clients: 4, method: "GET", keepAlive: true, pauseMs }),
    startLoad(url, { clients: 2, method: "GET", keepAlive: false, pauseMs }),
    startLoad(url, { clients: 4, method: "POST", keepAlive: true, pauseMs, body }),
    startLoad(url, { clients: 2, method: "POST", keepAlive: false, pauseMs, body: Buffer.from("small") }),
  ];
}

async function failuresOf(running: ReturnType<typeof loads>): Promise<readonly string[]> {
  await Promise.all(running.map((load) => load.stop()));
  expect(Math.min(...running.map((load) => load.sent()))).toBeGreaterThan(20);
  return running.flatMap((load) => load.failures);
}

/** A client on one connection, which it never opens anew. */
function rawClient(host: string) {
  const socket = connect(80, host);
  let text = "";
  socket.on("data", (chunk: Buffer) => void (text += chunk.toString()));
  socket.on("error", (error) => void (text += String(error)));
  return {
    async ask(): Promise<string> {
      text = "";
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      return await until("an answer", async () => (text.includes("}") || socket.destroyed ? `${text} ` : undefined));
    },
    close: () => void socket.destroy(),
  };
}

describe("a rollover under load", () => {
  it("fails no request while targets come and go and the configuration is reloaded, with one request in flight throughout", async () => {
    const group = await room.addGroup();
    const { url, arn } = await room.serve(group);
    const { registrar, api } = room.balancers;
    let serving = [await lab.target(), await lab.target()];
    for (const target of serving) await room.addHealthy(group, target);
    const running = loads(url, () => 5);
    const slow = call(`${url}/slow?ms=6000`);
    for (let round = 0; round < 2; round++) {
      const fresh = [await lab.target(), await lab.target()];
      for (const target of fresh) await room.addHealthy(group, target);
      const forward = { type: "forward", targetGroupArn: group } as const;
      await api.createListener({ loadBalancerArn: arn, port: 90 + round, protocol: "HTTP", defaultAction: forward, attributes: {}, tags: {} });
      await until("the new listener", () =>
        call(`${url}:${90 + round}`).then(
          () => true,
          () => false,
        ),
      );
      await Promise.all(
        serving.map(async (target) => {
          await registrar.deregister(group, target);
          expect(await room.healthOf(group, target)).toBe("draining");
          await until("drained", async () => (await room.healthOf(group, target)) === "gone");
          await target.kill();
        }),
      );
      serving = fresh;
    }
    expect((await slow).status).toBe(200);
    expect(await failuresOf(running)).toEqual([]);
  });

  it("fails no request when targets close idle connections after 100 ms", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    for (const target of [await lab.target({ keepAliveTimeoutMs: 100 }), await lab.target({ keepAliveTimeoutMs: 100 })])
      await room.addHealthy(group, target);
    let turn = 0;
    const running = loads(url, () => 90 + (turn++ % 20));
    await until("a thousand requests", async () => running.reduce((sum, load) => sum + load.sent(), 0) > 1_500);
    expect(await failuresOf(running)).toEqual([]);
  });

  it("fails no request that meets a connection which its target is just closing", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    for (const target of [await lab.target({ breakEvery: 25 }), await lab.target({ breakEvery: 25 })]) await room.addHealthy(group, target);
    const running = loads(url, () => 0);
    await until("a thousand requests", async () => running.reduce((sum, load) => sum + load.sent(), 0) > 2_000);
    expect(await failuresOf(running)).toEqual([]);
  });

  it("answers a client's idle connection after a reload, from targets that came later", async () => {
    const group = await room.addGroup();
    const { url, arn } = await room.serve(group);
    const old = await lab.target();
    await room.addHealthy(group, old);
    const client = rawClient(new URL(url).hostname);
    expect(await client.ask()).toContain(`"target":"${old.ip}:8080"`);
    const defaultAction = { type: "forward", targetGroupArn: group } as const;
    await room.balancers.api.createListener({ loadBalancerArn: arn, port: 90, protocol: "HTTP", defaultAction, attributes: {}, tags: {} });
    await until("reloaded", () =>
      call(`${url}:90`).then(
        () => true,
        () => false,
      ),
    );
    const later = await lab.target();
    await room.addHealthy(group, later);
    await room.balancers.registrar.deregister(group, old);
    await until("drained", async () => (await room.healthOf(group, old)) === "gone");
    await old.kill();
    expect(await client.ask()).toContain(`"target":"${later.ip}:8080"`);
    client.close();
  });

  it("gives a draining target no new request, ends when its last request has, and shuts what outlasts the deregistration delay", async () => {
    const group = await room.addGroup({ attributes: { "deregistration_delay.timeout_seconds": "6" } });
    const { url } = await room.serve(group);
    const [old, other] = [await lab.target(), await lab.target()];
    await room.addHealthy(group, old);
    const finishes = call(`${url}/slow?ms=1000`);
    const outlasts = call(`${url}/slow?ms=60000`, { method: "POST" }).then(
      ({ status }) => status,
      () => "shut",
    );
    await until("both there", async () => (await old.seen()) >= 2);
    await room.addHealthy(group, other);
    await room.balancers.registrar.deregister(group, old);
    const seen = await until("taken out", async () => {
      const before = await old.seen();
      for (let count = 0; count < 4; count++) await call(url);
      return (await old.seen()) === before ? before : undefined;
    });
    for (let count = 0; count < 10; count++) await call(url);
    expect((await finishes).status).toBe(200);
    expect(await room.healthOf(group, old)).toBe("draining");
    await until("gone", async () => (await room.healthOf(group, old)) === "gone");
    expect(["shut", 502, 503]).toContain(await outlasts);
    expect(await old.seen()).toBe(seen);
  });
});
