import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RuleCondition } from "../../src/contracts/load-balancing.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { call, createLab, until, type Lab, type LabTarget } from "./support/lab.ts";
import { startLoad } from "./support/load.ts";
import { createRoom, loudLogger, SCOPE, type Room } from "./support/room.ts";

/** Rules of an Application Load Balancer and connections of a network one, over real HAProxy. */

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

async function groupOfOne(): Promise<{ readonly group: string; readonly target: LabTarget }> {
  const group = await room.addGroup();
  const target = await lab.target();
  await room.balancers.registrar.register(group, { ip: target.ip, port: target.port });
  return { group, target };
}

describe("rules", () => {
  it("send each request where the first rule that matches says, and lose none when they change", async () => {
    const { api } = room.balancers;
    const [main, side, blue, green] = [await groupOfOne(), await groupOfOne(), await groupOfOne(), await groupOfOne()];
    const { url, listenerArn } = await room.serve(main.group);
    const rule = (priority: number, conditions: readonly RuleCondition[], action: Parameters<typeof api.createRule>[0]["action"]) =>
      api.createRule({ listenerArn, priority, conditions, action, tags: {} });
    const toSide = { type: "forward", targetGroupArn: side.group } as const;
    const weighted = [
      { targetGroupArn: blue.group, weight: 3 },
      { targetGroupArn: green.group, weight: 1 },
    ];
    const fixed = (statusCode: string) => ({ type: "fixed-response", statusCode }) as const;
    const early = await rule(
      10,
      [
        { field: "path-pattern", values: ["/api/*"] },
        { field: "http-request-method", values: ["GET"] },
      ],
      toSide,
    );
    await rule(20, [{ field: "host-header", values: ["*.example.com"] }], fixed("418"));
    await rule(30, [{ field: "http-header", name: "X-Canary", values: ["y?s"] }], toSide);
    await rule(40, [{ field: "query-string", pairs: [{ key: "version", value: "2*" }] }], toSide);
    await rule(50, [{ field: "source-ip", values: ["203.0.113.0/24"] }], fixed("403"));
    await rule(60, [{ field: "path-pattern", values: ["/weighted"] }], { type: "forward", targetGroupArn: blue.group, targetGroups: weighted });
    const last = await rule(70, [{ field: "path-pattern", values: ["/api/*"] }], fixed("410"));
    await until("the last rule acts", async () => (await call(`${url}/api/x`, { method: "POST" })).status === 410);
    for (const { group, target } of [main, side, blue, green]) {
      await until("healthy", async () => (await room.healthOf(group, target)) === "healthy");
    }
    const to = async (path: string, options: Parameters<typeof call>[1] = {}): Promise<string | number> => {
      const { status, body } = await call(`${url}${path}`, options);
      return status === 200 ? (JSON.parse(body) as { readonly target: string }).target.replace(/:.*/, "") : status;
    };
    expect(await to("/api/x")).toBe(side.target.ip);
    expect(await to("/API/x")).toBe(main.target.ip);
    expect(await to("/x", { headers: { host: "Shop.Example.com:80" } })).toBe(418);
    expect(await to("/x", { headers: { "x-canary": "YES" } })).toBe(side.target.ip);
    expect(await to("/x?a=b&version=2.1")).toBe(side.target.ip);
    expect(await to("/x?aversion=2.1")).toBe(main.target.ip);
    const spread = new Map<string | number, number>();
    for (let count = 0; count < 200; count++) {
      const target = await to("/weighted");
      spread.set(target, (spread.get(target) ?? 0) + 1);
    }
    // Three standard deviations and more of a fair draw.
    expect(spread.get(blue.target.ip)).toBeGreaterThan(120);
    expect(spread.get(green.target.ip)).toBeGreaterThan(20);

    const load = startLoad(url, { clients: 4, method: "GET", keepAlive: true, pauseMs: () => 2 });
    await api.setRulePriorities(
      new Map([
        [early.arn, 70],
        [last.arn, 10],
      ]),
    );
    await until("the rules have changed places", async () => (await to("/api/x")) === 410);
    await expect(api.createRule({ listenerArn, priority: 70, conditions: [], action: fixed("404"), tags: {} })).rejects.toThrow(
      "has a rule of priority 70",
    );
    await expect(api.deleteTargetGroup(side.group)).rejects.toThrow("is in use by");
    await api.deleteRule(last.arn);
    await until("the other one acts again", async () => (await to("/api/x")) === side.target.ip);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.sent()).toBeGreaterThan(10);
    await api.deleteListener(listenerArn);
    expect(await api.rules(SCOPE)).toEqual([]);
  });
});

/** Sends, and reads what comes until it ends with `end`. */
async function exchange(socket: Socket, text: string): Promise<string> {
  let answer = "";
  socket.on("data", (chunk: Buffer) => void (answer += chunk.toString()));
  socket.write(text);
  await until("an answer", async () => answer !== "");
  return answer;
}

describe("a network load balancer", () => {
  it("carries connections to targets that take them, tells the client's address by PROXY protocol, and lets open ones go on while it drains", async () => {
    const { registrar, api } = room.balancers;
    const check = { protocol: "TCP" as const };
    const group = await room.addGroup({ protocol: "TCP", check });
    const { url, arn } = await room.serve(group, { protocol: "TCP" });
    expect(arn).toContain(":loadbalancer/net/");
    const host = new URL(url).hostname;
    const [first, second] = [await lab.target({ keepAliveTimeoutMs: 0 }), await lab.target({ keepAliveTimeoutMs: 0 })];
    await room.addHealthy(group, first);
    const socket = connect(80, host);
    expect(await exchange(socket, "hello")).toBe(`${first.ip}:8080 ${Buffer.from("hello").toString("hex")}`);
    await room.addHealthy(group, second);
    await registrar.deregister(group, { ip: first.ip, port: first.port });
    await until("nothing new reaches the first", async () => {
      const other = connect(80, host);
      const answer = await exchange(other, "x");
      other.destroy();
      return answer.startsWith(second.ip);
    });
    expect(await room.healthOf(group, first)).toBe("draining");
    // A listener comes: the worker that carries the connection is replaced.
    const proxied = await room.addGroup({ protocol: "TCP", check, attributes: { "proxy_protocol_v2.enabled": "true" } });
    const common = { attributes: {}, tags: {} };
    const defaultAction = { type: "forward" as const, targetGroupArn: proxied };
    await api.createListener({ ...common, loadBalancerArn: arn, port: 81, protocol: "TCP", defaultAction });
    await room.addHealthy(proxied, second);
    const header = await exchange(connect(81, host), "hi");
    const [, hex = ""] = header.split(" ");
    const bytes = Buffer.from(hex, "hex");
    expect(bytes.subarray(0, 12)).toEqual(Buffer.from("0d0a0d0a000d0a515549540a", "hex"));
    // Version 2, PROXY, TCP over IPv4, and the client's address: the host's end of the lab.
    expect([...bytes.subarray(12, 14), ...bytes.subarray(16, 20)]).toEqual([0x21, 0x11, ...host.replace(/\d+$/, "1").split(".").map(Number)]);
    expect(await exchange(socket, "again")).toBe("again");
    socket.destroy();
    await until("the first is drained", async () => (await room.healthOf(group, first)) === "gone");
  });
});
