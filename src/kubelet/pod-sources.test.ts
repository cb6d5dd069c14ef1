import { expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import type { KubernetesClient, SourceObject } from "./kubernetes-client.ts";
import { PodSourceReader, tokenDueMs } from "./pod-sources.ts";
import { testContainer, testPod } from "./testing.ts";

const POD = testPod({
  containers: [testContainer({ envFrom: [{ configMapRef: { name: "words" } }] })],
  volumes: [{ name: "token", projected: { sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 1000 } }] } }],
});

it("keeps a token until four fifths of its time are over, and what is immutable for good", async () => {
  const clock = new FakeClock();
  const tokens: string[] = [];
  let words: SourceObject = { data: { a: "1" }, isImmutable: false };
  const client = {
    configMap: async () => words,
    token: async () => {
      tokens.push(`token ${tokens.length}`);
      return { token: tokens.at(-1) ?? "", expiresAtMs: clock.nowMs() + 1_000_000 };
    },
  } as unknown as KubernetesClient;
  const reader = new PodSourceReader({ clock, ids: { ...randomIds, random: () => 0 } });
  const read = async (): Promise<readonly unknown[]> => {
    const sources = await reader.read("key", client, POD);
    return [sources.tokens.get("1000/"), sources.configMaps.get("words")?.["a"]];
  };
  expect(await read()).toEqual(["token 0", "1"]);
  expect(reader.nextDueMs("key")).toBe(clock.nowMs() + 800_000);
  await clock.advance(799_000);
  words = { data: { a: "2" }, isImmutable: true };
  expect(await read()).toEqual(["token 0", "2"]);
  await clock.advance(1_000);
  words = { data: { a: "3" }, isImmutable: true };
  expect(await read()).toEqual(["token 1", "2"]);
  reader.forget("key");
  expect(reader.nextDueMs("key")).toBeUndefined();
});

it("replaces a token after a day, however long it is good", () => {
  expect(tokenDueMs({ issuedMs: 0, expiresAtMs: 3_600_000 })).toBe(2_880_000);
  expect(tokenDueMs({ issuedMs: 0, expiresAtMs: 1e12 })).toBe(86_400_000);
});
