import { beforeEach, expect, test } from "vitest";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import type { Store } from "../contracts/store.ts";
import { FakeClock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createNetwork, type VpcNetwork } from "./vpc-network.ts";

/** The records of interfaces beside those of what they are in, which others may delete at any moment. */

const scope = { account: "100000000000", region: "us-east-1" };
let store: Store;
let network: VpcNetwork;
let vpcId: string;

/** Hex digits to be given out before random ones. */
let digits: string[];

beforeEach(async () => {
  digits = [];
  const ids = { ...randomIds, hex: (length: number) => digits.shift() ?? randomIds.hex(length) };
  const instance = { instanceId: "abc123", dataDir: "/nonexistent", runDir: "/nonexistent", port: 4566, ...scope, vpcCidr: "10.9.0.0/16" };
  const rest = { auth: "iam", engine: "simulated", hostPorts: [], publish: [], manageHosts: false, trustHostCa: false } as const;
  const config: InstanceConfig = { ...instance, ...rest };
  store = createMemoryStore();
  const supervisor = {} as DaemonSupervisor;
  network = await createNetwork({ config, store, clock: new FakeClock(), ids, logger: silentLogger, supervisor });
  await network.start();
  vpcId = (await network.admin.ensureDefaultVpc(scope)).vpcId;
});

function allocate(subnetId: string, securityGroupIds: readonly string[] = []) {
  const request = { attachmentId: "attachment-1", owner: "task-1", assignPublicIp: false, description: "" };
  return network.allocate({ ...scope, ...request, subnetId, securityGroupIds });
}

const enis = async (): Promise<readonly unknown[]> => network.admin.networkInterfaces(scope);

test("a subnet with an interface, and a group that one has, cannot be deleted; once it is detached they can", async () => {
  const { groupId } = await network.admin.createSecurityGroup({ ...scope, vpcId, groupName: "web", description: "", tags: {} });
  const [subnet] = network.admin.subnets(scope);
  const { attachmentId } = await allocate(subnet?.subnetId ?? "", [groupId]);
  await expect(network.admin.deleteSubnet(scope, subnet?.subnetId ?? "")).rejects.toMatchObject({ kind: "conflict" });
  await expect(network.admin.deleteSecurityGroup(scope, groupId)).rejects.toMatchObject({ kind: "conflict" });
  await network.detach(attachmentId);
  await network.admin.deleteSecurityGroup(scope, groupId);
  await network.admin.deleteSubnet(scope, subnet?.subnetId ?? "");
});

test.each(["subnet", "group"])("an interface whose %s goes in the same moment is not made: it could never be taken away again", async (what) => {
  const { groupId } = await network.admin.createSecurityGroup({ ...scope, vpcId, groupName: "web", description: "", tags: {} });
  const subnetId = network.admin.subnets(scope)[0]?.subnetId ?? "";
  const deletion = what === "subnet" ? network.admin.deleteSubnet(scope, subnetId) : network.admin.deleteSecurityGroup(scope, groupId);
  // By now the deletion has looked, and found no interface; it is being stored.
  for (let turn = 0; turn < 1; turn++) await Promise.resolve();
  const made = allocate(subnetId, [groupId]);
  await deletion;
  await expect(made).rejects.toMatchObject({ kind: "not-found" });
  expect(await enis()).toEqual([]);
  expect(await store.list({ name: "network.eni" })).toEqual([]);
});

test("no two VPCs have ids that begin alike: their links on the host would be of one name", async () => {
  digits = [`${vpcId.slice("vpc-0".length, -9)}fedcba987`];
  const other = await network.admin.createVpc({ ...scope, cidr: "10.77.0.0/16", tags: {} });
  expect(digits).toEqual([]);
  expect(other.vpcId.slice(0, 10)).not.toBe(vpcId.slice(0, 10));
});
