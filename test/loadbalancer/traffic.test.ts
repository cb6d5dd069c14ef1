import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { call, createLab, until, type Lab } from "./support/lab.ts";
import { createRoom, loudLogger, SCOPE, type Room } from "./support/room.ts";

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

describe("a load balancer", () => {
  it("has addresses and a name, and spreads requests over healthy targets", async () => {
    const group = await room.addGroup();
    const { arn, url } = await room.serve(group);
    expect((await call(url)).status).toBe(503);
    const [first, second] = [await lab.target(), await lab.target()];
    await room.addHealthy(group, first);
    await room.addHealthy(group, second);
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(`${url}/x`, { headers: { "x-forwarded-for": "9.9.9.9" } })));
    const bodies = answers.map(({ body }) => JSON.parse(body) as { target: string; headers: Record<string, string> });
    expect(new Set(bodies.map(({ target }) => target))).toEqual(new Set([`${first.ip}:8080`, `${second.ip}:8080`]));
    const headers = bodies[0]?.headers ?? {};
    expect(headers["x-forwarded-for"]).toMatch(/^9\.9\.9\.9, 198\.1[89]\.\d+\.1$/);
    expect(headers["x-forwarded-proto"]).toBe("http");
    expect(headers["x-forwarded-port"]).toBe("80");
    expect(headers["x-amzn-trace-id"]).toMatch(/^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$/);
    expect(`http://${headers["host"]}`).toBe(url);
    const view = (await room.balancers.api.loadBalancers(SCOPE)).find(({ record }) => record.arn === arn);
    expect([...lab.names.values()].flatMap(({ records }) => records)).toContainEqual({
      name: view?.record.dnsName,
      addresses: view?.status.addresses.map(({ ip }) => ip),
    });
  });

  it("answers 503 without a target, in ALB's words", async () => {
    const { url } = await room.serve(await room.addGroup());
    const { status, body, headers } = await call(url);
    expect([status, headers["server"], headers["content-type"]]).toEqual([503, "awselb/2.0", "text/html"]);
    expect(body).toContain("<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n");
  });

  it("asks another target at once where one refuses, and answers 502 where there is none, as ALB does", async () => {
    const group = await room.addGroup({ check: { intervalSeconds: 60 } });
    const { url } = await room.serve(group);
    const [dead, alive] = [await lab.target(), await lab.target()];
    for (const target of [dead, alive]) await room.addHealthy(group, target);
    await dead.kill();
    const begun = systemClock.steadyMs();
    for (let count = 0; count < 20; count++) expect((await call(url)).status).toBe(200);
    // Each second one would have waited a second, or the whole time that a connection may take.
    expect(systemClock.steadyMs() - begun).toBeLessThan(8_000);
    await alive.kill();
    const { status, body, headers } = await call(url);
    expect([status, headers["server"], headers["x-tidegate-unreached"]]).toEqual([502, "awselb/2.0", undefined]);
    expect(body).toContain("<center><h1>502 Bad Gateway</h1></center>\r\n");
  });

  it("hands on a target's own 503", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    await room.addHealthy(group, await lab.target());
    const { status, body, headers } = await call(`${url}/own-503`);
    expect([status, body, headers["server"]]).toEqual([503, "busy", undefined]);
  });

  it("gives no request to a target that answers 500 to its checks, from the first moment on", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    const good = await lab.target();
    const bad = await lab.target();
    await bad.setHealth("500");
    await room.addHealthy(group, good);
    await room.balancers.registrar.register(group, { ip: bad.ip, port: bad.port });
    expect(await room.healthOf(group, bad)).toBe("initial");
    await until("unhealthy", async () => {
      for (let count = 0; count < 20; count++) expect((await call(url)).status).toBe(200);
      return (await room.healthOf(group, bad)) === "unhealthy";
    });
    expect(await room.balancers.registrar.health(group, bad)).toMatchObject({
      reason: "Target.ResponseCodeMismatch",
      description: "Health checks failed with these codes: [500]",
    });
    expect(await bad.seen()).toBe(0);
    await bad.setHealth("302");
    await until("healthy after three passed checks", async () => (await room.healthOf(group, bad)) === "healthy");
    await call(url);
    await call(url);
    expect(await bad.seen()).toBeGreaterThan(0);
  });

  it.each(["HTTP", "TCP"] as const)(
    "gives all targets what comes by %s where none is healthy, but not those that drain, until one is healthy",
    async (protocol) => {
      const group = await room.addGroup({ protocol });
      const { url } = await room.serve(group, { protocol });
      const [first, second] = [await lab.target(), await lab.target()];
      for (const target of [first, second]) {
        await target.setHealth("500");
        await room.balancers.registrar.register(group, { ip: target.ip, port: target.port });
      }
      for (const target of [first, second]) await until("unhealthy", async () => (await room.healthOf(group, target)) === "unhealthy");
      for (let count = 0; count < 10; count++) expect((await call(url)).status).toBe(200);
      expect([await first.seen(), await second.seen()]).toEqual([5, 5]);

      await room.balancers.registrar.deregister(group, { ip: first.ip, port: first.port });
      await until("deregistered", async () => (await room.healthOf(group, first)) === "gone");
      for (let count = 0; count < 4; count++) expect((await call(url)).status).toBe(200);
      expect([await first.seen(), await second.seen()]).toEqual([5, 9]);

      await first.setHealth("200");
      await room.addHealthy(group, first);
      for (let count = 0; count < 4; count++) expect((await call(url)).status).toBe(200);
      expect([await first.seen(), await second.seen()]).toEqual([9, 9]);
    },
  );

  it("keeps connections to targets for requests that may be repeated, and gives the others a fresh one", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    const target = await lab.target();
    await room.addHealthy(group, target);
    for (let count = 0; count < 20; count++) await call(url);
    const reused = await target.reused();
    expect(reused).toBeGreaterThan(10);
    for (let count = 0; count < 20; count++) await call(url, { method: "POST", body: "x" });
    expect(await target.reused()).toBe(reused);
    expect(await target.seen()).toBeGreaterThanOrEqual(40);
  });

  it("takes requests from a target that hangs", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    const [good, hung] = [await lab.target(), await lab.target()];
    await room.addHealthy(group, good);
    await room.addHealthy(group, hung);
    await hung.setHealth("hang");
    await until("unhealthy", async () => (await room.healthOf(group, hung)) === "unhealthy");
    expect(await room.balancers.registrar.health(group, hung)).toMatchObject({ reason: "Target.Timeout", description: "Request timed out" });
    const before = await hung.seen();
    for (let count = 0; count < 20; count++) expect((await call(url)).status).toBe(200);
    expect(await hung.seen()).toBe(before);
  });

  it("carries WebSockets", async () => {
    const group = await room.addGroup();
    const { url } = await room.serve(group);
    await room.addHealthy(group, await lab.target());
    const socket = connect(80, new URL(url).hostname);
    let text = "";
    socket.on("data", (chunk: Buffer) => void (text += chunk.toString()));
    socket.write(
      "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    await until("switched", async () => text.includes("101 Switching"));
    socket.write("hello");
    await until("echo", async () => text.includes("echo:hello"));
    socket.destroy();
  });

  it("answers fixed responses and redirects", async () => {
    const group = await room.addGroup();
    const { arn, url, listenerArn } = await room.serve(group);
    const { api } = room.balancers;
    const body = 'Not "here", 100% $HOME \\ #{x}\nünd';
    await api.updateListener(listenerArn, (listener) => ({
      ...listener,
      defaultAction: { type: "fixed-response", statusCode: "404", contentType: "text/plain", messageBody: body },
    }));
    await until("fixed response", async () => (await call(url)).status === 404);
    expect((await call(url)).body).toBe(body);
    await api.createListener({
      loadBalancerArn: arn,
      port: 81,
      protocol: "HTTP",
      defaultAction: {
        type: "redirect",
        statusCode: "HTTP_301",
        protocol: "HTTPS",
        port: "443",
        host: "#{host}",
        path: "/new/#{path}",
        query: "#{query}",
      },
      attributes: {},
      tags: {},
    });
    const moved = await until("redirect", () => call(`${url}:81/a/b?c=d`).catch(() => undefined));
    const host = new URL(url).hostname;
    expect([moved.status, moved.headers["location"]]).toEqual([301, `https://${host}:443/new/a/b?c=d`]);
    expect((await call(`${url}:81/a`)).headers["location"]).toBe(`https://${host}:443/new/a`);
  });
});
