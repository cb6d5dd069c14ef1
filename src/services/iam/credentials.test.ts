import { describe, expect, it } from "vitest";
import { FakeClock } from "../../core/clock.ts";
import { seededIds } from "../../core/ids.ts";
import { isProblem } from "../../core/problem.ts";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { createCredentialSource } from "./credentials.ts";
import { accessKeyId, accountOfKeyId } from "./identifiers.ts";
import { ACCESS_KEYS, namedKey, ROLES, SESSIONS } from "./records.ts";
import type { RoleRecord } from "./records.ts";
import { createSessionSweep } from "./session-sweep.ts";

const account = "123456789012";
const role: RoleRecord = {
  account,
  name: "Task",
  path: "/app/",
  id: "AROAEXAMPLE",
  createdAtMs: 0,
  trustPolicy: "{}",
  maxSessionSeconds: 3600,
  tags: [],
  inlinePolicies: {},
  attachedPolicies: [],
};

async function make(seed = "credentials") {
  const store = createMemoryStore();
  const clock = new FakeClock();
  const source = createCredentialSource({ store, clock, ids: seededIds(seed), config: { account } });
  await store.transact([{ op: "create", collection: ROLES, key: namedKey(account, role.name), value: role }]);
  return { store, clock, source };
}

describe("credentials", () => {
  it("two starts at once make one pair of root keys", async () => {
    const { store, clock, source } = await make();
    const other = createCredentialSource({ store, clock, ids: seededIds("other"), config: { account } });
    const [first, second] = await Promise.all([source.ensureRootKeys(), other.ensureRootKeys()]);
    expect(second).toEqual(first);
    expect(await store.list(ACCESS_KEYS)).toHaveLength(1);
    await store.transact([{ op: "delete", collection: ACCESS_KEYS, key: first.accessKeyId }]);
    const third = await source.ensureRootKeys();
    expect(third.accessKeyId).not.toBe(first.accessKeyId);
    expect(await source.find(first.accessKeyId)).toBeUndefined();
    expect(await source.find(third.accessKeyId)).toMatchObject({ account, principal: { arn: `arn:aws:iam::${account}:root` } });
  });

  it("a key that is switched off or deleted is unknown from then on, though it was found before", async () => {
    const { store, source } = await make();
    const { accessKeyId: id } = await source.ensureRootKeys();
    expect(await source.find(id)).toBeDefined();
    const { value } = (await store.get(ACCESS_KEYS, id))!;
    await store.transact([{ op: "update", collection: ACCESS_KEYS, key: id, value: { ...value, status: "Inactive" } }]);
    expect(await source.find(id)).toBeUndefined();
    await store.transact([{ op: "update", collection: ACCESS_KEYS, key: id, value }]);
    expect(await source.find(id)).toBeDefined();
  });

  it("roles' sessions: by the whole ARN, in the account that is asked for", async () => {
    const { source, clock } = await make();
    const roleArn = `arn:aws:iam::${account}:role/app/Task`;
    const session = await source.issueRoleSession({ roleArn, sessionName: "t1", durationSeconds: 900, account });
    expect(session).toMatchObject({
      expirationMs: clock.nowMs() + 900_000,
      assumedRoleArn: `arn:aws:sts::${account}:assumed-role/Task/t1`,
      assumedRoleId: "AROAEXAMPLE:t1",
    });
    expect(await source.find(session.accessKeyId)).toMatchObject({ sessionToken: session.sessionToken, expirationMs: session.expirationMs, account });
    expect(await source.roleExists(roleArn)).toBe(true);
    for (const wrong of [
      `arn:aws:iam::${account}:role/Task`,
      `arn:aws:iam::999999999999:role/app/Task`,
      `arn:aws:iam::${account}:user/app/Task`,
      "Task",
    ]) {
      expect(await source.roleExists(wrong)).toBe(false);
      await expect(source.issueRoleSession({ roleArn: wrong, sessionName: "t", durationSeconds: 900, account })).rejects.toSatisfy((error) =>
        isProblem(error, "not-found"),
      );
    }
    await expect(source.issueRoleSession({ roleArn, sessionName: "t", durationSeconds: 900, account: "999999999999" })).rejects.toSatisfy((error) =>
      isProblem(error, "not-found"),
    );
  });

  it("the sweep keeps an expired session a day, asks to be called when that is over, and survives a double call", async () => {
    const { source, store, clock } = await make();
    const sweep = createSessionSweep({ store, clock });
    const { accessKeyId: id } = await source.issueRoleSession({
      roleArn: `arn:aws:iam::${account}:role/app/Task`,
      sessionName: "t",
      durationSeconds: 900,
      account,
    });
    expect(await sweep.initialKeys()).toEqual([id]);
    expect(await sweep.reconcile(id)).toEqual({ requeueAfterMs: 900_000 + 24 * 3600_000 });
    await clock.advance(900_000 + 24 * 3600_000);
    await Promise.all([sweep.reconcile(id), sweep.reconcile(id)]);
    expect(await store.list(SESSIONS)).toEqual([]);
    expect(await source.find(id)).toBeUndefined();
  });
});

describe("access key ids", () => {
  it.each(["000000000000", "000000000001", "123456789012", "999999999999"])("carry account %s", (owner) => {
    const id = accessKeyId(seededIds(owner), "ASIA", owner);
    expect(id).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(accountOfKeyId(id)).toBe(owner);
  });

  it("are nothing else", () => {
    expect(accountOfKeyId("AKIA")).toBeUndefined();
    expect(accountOfKeyId("AKIA0000000000000000")).toBeUndefined();
  });
});
