import { createServer } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import { systemClock } from "../core/clock.ts";
import { runAction } from "./probe-action.ts";

/** Takes connections, and says nothing. */
const silent = createServer(() => {});
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  port = (silent.address() as { readonly port: number }).port;
});
afterAll(() => void silent.close());

const target = { runtime: {} as ContainerRuntime, clock: systemClock, containerId: "c", address: "127.0.0.1" };
const get = (at: number) => ({ type: "http", port: at, path: "/health", scheme: "http" }) as const;

it("says as the kubelet that nobody listens", async () => {
  const closed = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => closed.once("listening", resolve));
  const { port: unused } = closed.address() as { readonly port: number };
  await new Promise((resolve) => closed.close(resolve));
  const refused = `dial tcp 127.0.0.1:${unused}: connect: connection refused`;
  expect(await runAction({ type: "tcp", port: unused }, target, 5000)).toEqual({ ok: false, words: refused });
  expect(await runAction(get(unused), target, 5000)).toEqual({ ok: false, words: `Get "http://127.0.0.1:${unused}/health": ${refused}` });
});

it("says as the kubelet that an answer did not come in time", async () => {
  const words = `Get "http://127.0.0.1:${port}/health": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
  expect(await runAction(get(port), target, 50)).toEqual({ ok: false, words });
  // As what is left of a pod's grace period.
  expect(await runAction(get(port), target, 49.003)).toEqual({ ok: false, words });
  expect(await runAction({ type: "tcp", port }, target, 4999.003)).toMatchObject({ ok: true });
  expect(await runAction({ type: "tcp", port }, target, 5000)).toMatchObject({ ok: true });
});
