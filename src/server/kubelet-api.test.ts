import { Agent, request } from "node:https";
import { expect, test } from "vitest";
import type { Engine } from "../contracts/engine.ts";
import { systemClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createKubeletServer } from "../kubelet/api/server.ts";
import { PLACEMENTS, placementKey } from "../kubelet/records.ts";
import type { KubeletRoom } from "../kubelet/room.ts";
import { CLUSTER, PLACEMENT } from "../kubelet/testing.ts";
import { createAuthority, issueLeaf } from "../services/eks/control-plane/pki.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { freePort } from "../../test/support/free-port.ts";

/** The nodes' kubelets by HTTPS, with a certificate of the cluster's authority. */

const HOST = "127.0.0.1";

test("a connection that is kept is answered of the workload that runs the pod now", async () => {
  const tools = { nowMs: systemClock.nowMs(), ids: seededIds("kubelet") };
  const authority = await createAuthority("kubernetes", tools);
  const store = createMemoryStore();
  // Who calls a node seems to come from the node's own address.
  const placement = { ...PLACEMENT, address: HOST };
  const key = placementKey(placement.clusterKey, placement.uid);
  const put = (attempt: number): Promise<unknown> => store.transact([{ op: "put", collection: PLACEMENTS, key, value: { ...placement, attempt } }]);
  await put(0);
  const asked: string[] = [];
  const room = {
    ...tools,
    clock: systemClock,
    logger: silentLogger,
    store,
    engine: { get: async (id: string) => void asked.push(id) } as unknown as Engine,
    connections: { to: async () => ({ userOf: async () => ({ username: "metrics", groups: [] }), mayGetNode: async () => true }) },
    ports: {
      clusters: {
        get: async () => ({ ...CLUSTER, authority: authority.certificate }),
        nodeCertificate: () => issueLeaf(authority, { commonName: "system:node:it", usage: "server", addresses: [HOST] }, tools),
      },
    },
  } as unknown as KubeletRoom;
  const server = createKubeletServer(room);
  const port = await freePort();
  await server.listen({ vpcId: CLUSTER.vpcId, host: HOST, port });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.certificate });
  try {
    const ask = (): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const options = { host: HOST, port, path: "/metrics/resource", agent, headers: { authorization: "Bearer token" } };
        const sent = request(options, (response) => response.resume().once("end", () => resolve(response.statusCode)));
        sent.once("error", reject).end();
      });
    expect(await ask()).toBe(200);
    await put(1);
    expect(await ask()).toBe(200);
    expect(asked).toEqual([placement.uid.replaceAll("-", ""), `${placement.uid.replaceAll("-", "")}-1`]);
  } finally {
    agent.destroy();
    await server.close();
  }
});
