import { expect, it } from "vitest";
import type { WorkloadStatus } from "../../contracts/engine.ts";
import { PLACEMENTS, STATUSES, WORKLOADS, type WorkloadRecord } from "../../fargate/records.ts";
import { ENIS, HOST_CHANGES, VPCS } from "../../network/records.ts";
import { UPLOADS } from "../../registry/records.ts";
import { CONTROL_PLANES } from "../../services/eks/records.ts";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { rehost } from "./rehost.ts";

it("leaves what a reboot leaves, under the new instance's names: nothing that names the old instance or its host", async () => {
  const store = createMemoryStore();
  const workload = (id: string, more: Partial<WorkloadRecord> = {}) =>
    ({
      op: "put",
      collection: WORKLOADS,
      key: id,
      value: { workload: { id }, acceptedAtMs: 1, desired: "RUNNING", ...more } as WorkloadRecord,
    }) as const;
  const status = (id: string, state: string) => ({ op: "put", collection: STATUSES, key: id, value: { id, state } as WorkloadStatus }) as const;
  const sandboxName = "tidegate-aaaaaa-0123456789ab";
  await store.transact([
    workload("runs"),
    status("runs", "RUNNING"),
    {
      op: "put",
      collection: PLACEMENTS,
      key: "runs",
      value: { sandboxName, cgroupParent: `/tidegate-aaaaaa/${sandboxName}`, runtimeIds: {}, streaks: {}, stopSentAtMs: {} },
    },
    workload("stops", { desired: "STOPPED", stop: { code: "UserInitiated", reason: "asked for", atMs: 5 } }),
    status("stops", "DEACTIVATING"),
    workload("ended", { desired: "STOPPED" }),
    status("ended", "STOPPED"),
    { op: "put", collection: HOST_CHANGES, key: "route/10.0.0.0/16", value: { type: "route", cidr: "10.0.0.0/16" } },
    { op: "put", collection: UPLOADS, key: "u", value: {} },
    { op: "put", collection: VPCS, key: "v", value: { vpcId: "v", link: { cidr: "169.254.180.0/30" } } },
    {
      op: "put",
      collection: CONTROL_PLANES,
      key: "c",
      value: { state: "ACTIVE", failures: 0, network: { address: "10.0.0.4", clusterGroupId: "sg-1", endpointGroupId: "sg-2", access: "open" } },
    },
    {
      op: "put",
      collection: ENIS,
      key: "task",
      value: { eniId: "e1", privateIpv4: "10.0.0.9", netnsPath: "/run/tidegate/aaaaaa/netns/x" },
    },
    { op: "put", collection: ENIS, key: "balancer", value: { eniId: "e2", privateIpv4: "10.0.0.10", local: true } },
  ]);
  const move = { fromInstanceId: "aaaaaa", toInstanceId: "bbbbbb", backupAtMs: Date.UTC(2026, 0, 1), nowMs: 99 };
  expect(await rehost(store, move)).toEqual({ tasksLost: 2 });

  expect(await store.list(HOST_CHANGES)).toEqual([]);
  expect(await store.list(UPLOADS)).toEqual([]);
  expect((await store.get(VPCS, "v"))?.value).toEqual({ vpcId: "v" });
  expect((await store.get(CONTROL_PLANES, "c"))?.value.network).toEqual({ address: "10.0.0.4", clusterGroupId: "sg-1", endpointGroupId: "sg-2" });
  expect((await store.get(ENIS, "task"))?.value).toEqual({ eniId: "e1", privateIpv4: "10.0.0.9" });
  expect((await store.get(ENIS, "balancer"))?.value).toEqual({ eniId: "e2", privateIpv4: "10.0.0.10", local: true });
  expect((await store.get(PLACEMENTS, "runs"))?.value).toMatchObject({
    sandboxName: "tidegate-bbbbbb-0123456789ab",
    cgroupParent: "/tidegate-bbbbbb/tidegate-bbbbbb-0123456789ab",
  });
  const reason = "Tidegate was restored from a backup of 2026-01-01T00:00:00.000Z; the task ran on the host of that time.";
  expect((await store.get(WORKLOADS, "runs"))?.value).toMatchObject({ desired: "STOPPED", stop: { code: "TerminationNotice", reason, atMs: 99 } });
  expect((await store.get(WORKLOADS, "stops"))?.value.stop?.reason).toBe("asked for");
  expect((await store.get(WORKLOADS, "ended"))?.value.stop).toBeUndefined();
});
