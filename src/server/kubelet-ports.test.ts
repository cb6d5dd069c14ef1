import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createAuthority } from "../services/eks/control-plane/pki.ts";
import { CLUSTER_SECRETS } from "../services/eks/records.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { kubeletPorts } from "./kubelet-ports.ts";

const YEAR_MS = 365 * 24 * 60 * 60_000;

test("what Tidegate and its nodes show to an API server is good for as long as their process may run", async () => {
  const clock = new FakeClock();
  const tools = { nowMs: clock.nowMs(), ids: randomIds };
  const store = createMemoryStore();
  const authority = await createAuthority("shop", tools);
  await store.transact([{ op: "put", collection: CLUSTER_SECRETS, key: "shop", value: { authority } }]);
  const parts = { store, network: {}, toolbox: { clock, ids: randomIds, logger: silentLogger } } as unknown as Parameters<typeof kubeletPorts>[0];
  const { clusters } = kubeletPorts(parts);
  const shown = [await clusters.adminCertificate("shop"), await clusters.nodeCertificate("shop", { nodeName: "fargate-1", address: "10.0.0.1" })];
  for (const { certificate } of shown) {
    const { validToDate } = new X509Certificate(certificate);
    expect(validToDate.getTime() - clock.nowMs()).toBeGreaterThan(9 * YEAR_MS);
  }
});
