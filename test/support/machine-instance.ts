/** A Tidegate in a machine of the test's own, with the default folders; the test's clients reach it through a socket that both sides see. */
import { createServer, connect, type Server } from "node:net";
import { once } from "node:events";
import { join, resolve } from "node:path";
import type { AddressInfo } from "node:net";
import type { RunResult } from "../../src/host/run.ts";
import { type TestInstance, until } from "./instance.ts";
import type { Background, Machine } from "./machine.ts";

const ROOT = resolve(import.meta.dirname, "../..");
export const MACHINE_DATA_DIR = "/var/lib/tidegate";

export interface MachineInstance extends TestInstance {
  readonly machine: Machine;
  readonly runDir: string;
  /** Runs `tidegate …` in the machine, as {@link TestInstance.cli}; after a reboot of the machine `up` starts all again. */
  up(flags?: readonly string[]): Promise<void>;
}

export interface MachineInstanceOptions {
  readonly flags?: readonly string[];
  /** Several can be in one machine; the first is under {@link MACHINE_DATA_DIR}. */
  readonly dataDir?: string;
}

/** Starts an instance in the machine; `remove` ends what it has in the machine, which goes on. */
export async function startInMachine(machine: Machine, options: MachineInstanceOptions = {}): Promise<MachineInstance> {
  const { flags = [], dataDir = MACHINE_DATA_DIR } = options;
  const cli = (args: readonly string[], more: { readonly okCodes?: readonly number[]; readonly timeoutMs?: number } = {}): Promise<RunResult> =>
    machine.exec([join(ROOT, "tidegate"), "--data-dir", dataDir, ...args], { timeoutMs: more.timeoutMs ?? 300_000, okCodes: more.okCodes ?? [0] });
  await cli(["up", "--detach", ...flags]);
  const kept = JSON.parse((await machine.exec(["cat", `${dataDir}/instance.json`])).stdout) as {
    port: number;
    instanceId: string;
    vpcCidr: string;
    runDir: string;
  };
  const relay = new Relay(machine, { socket: join(machine.shared, `${kept.instanceId}.sock`), port: kept.port });
  const outsidePort = await relay.open();
  const environment = JSON.parse((await cli(["env", "--json"])).stdout) as Record<string, string>;
  const client: TestInstance["client"] = (command, more = {}) => machine.exec(command, { timeoutMs: 120_000, ...more, environment });
  return {
    machine,
    dataDir,
    ...kept,
    endpoint: `http://localhost:${outsidePort}`,
    environment,
    cli,
    client,
    async aws<T>(...args: readonly string[]): Promise<T> {
      const { stdout } = await client(["aws", ...args, "--output", "json"]);
      return (stdout.trim() === "" ? undefined : JSON.parse(stdout)) as T;
    },
    async kill() {
      const { pid } = JSON.parse((await machine.exec(["cat", join(kept.runDir, "server.json")])).stdout) as { pid: number };
      await machine.exec(["kill", "-9", String(pid)]);
      await until(`process ${pid} is gone`, async () => {
        const { stdout } = await machine.exec(["sh", "-c", `cat /proc/${pid}/stat || true`]);
        return stdout === "" || / Z /.test(stdout.slice(stdout.lastIndexOf(")")));
      });
    },
    async up(more = []) {
      await cli(["up", "--detach", ...flags, ...more]);
      await relay.open();
    },
    async remove() {
      await cli(["down", "--all", "--purge"]);
      await relay.close();
    },
  };
}

/** From a port of the test's to the instance's, by a unix socket: those are one for all network namespaces. */
class Relay {
  readonly #machine: Machine;
  readonly #socket: string;
  readonly #port: number;
  #server: Server | undefined;
  #inside: Background | undefined;

  constructor(machine: Machine, { socket, port }: { readonly socket: string; readonly port: number }) {
    this.#machine = machine;
    this.#socket = socket;
    this.#port = port;
  }

  /** Idempotent; to be called again after a reboot. Answers the port. */
  async open(): Promise<number> {
    if (this.#server === undefined) {
      this.#server = createServer((client) => {
        const machine = connect(this.#socket);
        for (const [one, other] of [
          [client, machine],
          [machine, client],
        ] as const) {
          one.pipe(other);
          one.on("error", () => other.destroy());
        }
      });
      this.#server.listen(0, "127.0.0.1");
      await once(this.#server, "listening");
    }
    if (!(await this.#answers())) {
      await this.#inside?.[Symbol.asyncDispose]();
      this.#inside = this.#machine.background(["node", "-e", RELAY, this.#socket, String(this.#port)]);
      await until(`${this.#socket} answers`, () => this.#answers());
    }
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server?.close();
    await this.#inside?.[Symbol.asyncDispose]();
  }

  #answers(): Promise<boolean> {
    return new Promise((done) => {
      const socket = connect(this.#socket, () => {
        socket.destroy();
        done(true);
      });
      socket.on("error", () => done(false));
    });
  }
}

const RELAY = `
const net = require("node:net"), [path, port] = process.argv.slice(1);
require("node:fs").rmSync(path, { force: true });
net.createServer((client) => {
  const server = net.connect(Number(port), "127.0.0.1");
  client.pipe(server).pipe(client);
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
}).listen(path);
`;
