import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Server as NetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { sendUnaryData, ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../core/clock.ts";
import { ContainerdClient, RpcError } from "./grpc.ts";

/** containerd may die between a question and its answer, in the start of the control plane as at any other time. */

const cri = loadSync(join(import.meta.dirname, "protos/cri.proto"))["runtime.v1.RuntimeService"] as ServiceDefinition;

let folder: string;
let client: ContainerdClient;
let server: Server;
/** Between the two: what is cut is the connection, as by a SIGKILL. */
let wire: NetServer;
const connections = new Set<Socket>();
let calls = 0;
/** What the server does of a call; `undefined` for no answer. */
let answer: () => object | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-grpc-"));
  calls = 0;
  server = new Server();
  const handle = (_call: unknown, respond: sendUnaryData<object>): void => {
    calls++;
    const value = answer();
    if (value !== undefined) respond(null, value);
  };
  server.addService(cri, { ListPodSandbox: handle, StopPodSandbox: handle });
  const path = join(folder, "server.sock");
  await promisify(server.bindAsync.bind(server))(`unix://${path}`, ServerCredentials.createInsecure());
  wire = createServer((near) => {
    const far = createConnection(path);
    for (const socket of [near, far]) connections.add(socket.on("error", () => {}).on("close", () => connections.delete(socket)));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => wire.listen(join(folder, "containerd.sock"), resolve));
  client = new ContainerdClient(join(folder, "containerd.sock"), systemClock);
});

afterEach(async () => {
  client.close();
  wire.close();
  cut();
  server.forceShutdown();
  await rm(folder, { recursive: true, force: true });
});

function cut(): undefined {
  for (const socket of connections) socket.destroy();
}

test("a question is asked again when it is back", async () => {
  answer = () => (calls === 1 ? cut() : { items: [{ id: "a" }] });
  expect(await client.listPodSandbox({})).toMatchObject({ items: [{ id: "a" }] });
  expect(calls).toBe(2);
});

test("an order is not given twice: who gave it has to look first", async () => {
  answer = () => (calls === 1 ? cut() : {});
  await expect(client.stopPodSandbox({ podSandboxId: "a" })).rejects.toMatchObject({ code: status.UNAVAILABLE });
  expect(calls).toBe(1);
});

test("what was cancelled before it was asked is not asked", async () => {
  answer = () => ({});
  const cancelled = client.listPodSandbox({}, { signal: AbortSignal.abort() });
  await expect(cancelled).rejects.toMatchObject({ code: status.CANCELLED });
  expect(calls).toBe(0);
});

test("a question does not outlive its time, nor the client", async () => {
  answer = cut;
  await expect(client.listPodSandbox({}, { deadlineMs: 400 })).rejects.toBeInstanceOf(RpcError);
  const asked = client.listPodSandbox({});
  client.close();
  await expect(asked).rejects.toThrow();
});
