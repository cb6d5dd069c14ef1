/** A control plane that runs out of file descriptors. */
import { readdir, readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";

let instance: TestInstance;
let pid: number;

beforeAll(async () => {
  instance = await startInstance(["--engine", "simulated"]);
  const { runDir } = JSON.parse(await readFile(join(instance.dataDir, "instance.json"), "utf8")) as { runDir: string };
  pid = (JSON.parse(await readFile(join(runDir, "server.json"), "utf8")) as { pid: number }).pid;
});
afterAll(() => instance.remove());

test("connections beyond its descriptors are refused, not its death; status says so, and it serves again when they are gone", async () => {
  const open = (await readdir(`/proc/${pid}/fd`)).length;
  await run(["prlimit", "--pid", String(pid), `--nofile=${open + 20}:`]);
  const sockets: Socket[] = [];
  try {
    let closed = 0;
    for (let index = 0; index < 100; index++) {
      const socket = connect(instance.port, "127.0.0.1");
      socket.on("error", () => {}).on("close", () => closed++);
      sockets.push(socket);
    }
    await until("connections are refused", async () => closed > 0);
    // Whoever has a connection is answered, and hears of it.
    const held = sockets.find((socket) => !socket.destroyed);
    const answer = new Promise<string>((resolve) => held?.once("data", (chunk) => resolve(chunk.toString())));
    held?.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await answer).toMatch(/^HTTP\/1\.1 503 /);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await until("it answers again", async () => (await fetch(`http://127.0.0.1:${instance.port}/healthz`)).status > 0);
  await run(["prlimit", "--pid", String(pid), "--nofile=4096:"]);
  await until("all is well", async () => (await instance.cli(["status"], { okCodes: [0, 1] })).code === 0);
  await instance.aws("ecs", "create-cluster", "--cluster-name", "after");
  // The same process all the time.
  await readdir(`/proc/${pid}/fd`);
});
