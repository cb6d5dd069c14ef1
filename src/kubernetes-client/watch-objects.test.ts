import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { systemClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { watchObjects } from "./watch-objects.ts";

/** By the library itself, from an API server that says what the test has it say. */

const pod = (uid: string, resourceVersion: string): V1Pod => ({ metadata: { name: "web-0", namespace: "default", uid, resourceVersion } });

test("one that was made anew under its name while the watch was broken takes the old one's place, which is told to be gone", async () => {
  const watches: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    watches.push(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const config = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: "it", server: url, skipTLSVerify: true }, { name: "me" });
  const lists = [[pod("first", "1")], [pod("second", "8")]];
  const told: (string | undefined)[] = [];
  const watch = await watchObjects<V1Pod>({
    config,
    path: "/api/v1/pods",
    list: async () => ({ items: lists.shift() ?? [], metadata: { resourceVersion: "9" } }),
    onChange: ({ metadata }) => void told.push(metadata?.uid),
    clock: systemClock,
    logger: silentLogger,
  });
  try {
    await expect.poll(() => watches.length).toBe(1);
    expect(watch.get("first")?.metadata?.uid).toBe("first");
    watches[0]?.end(`${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, metadata: {} } })}\n`);
    await expect.poll(() => watch.get("second")?.metadata?.uid).toBe("second");
    expect(watch.get("first")).toBeUndefined();
    expect(watch.list()).toHaveLength(1);
    expect(told).toEqual(["first", "first", "second"]);
  } finally {
    watch[Symbol.dispose]();
    server.closeAllConnections();
    server.close();
  }
});
