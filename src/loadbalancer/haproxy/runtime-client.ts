import { createConnection } from "node:net";
import type { Clock } from "../../core/clock.ts";
import { Problem } from "../../core/problem.ts";

const TIMEOUT_MS = 10_000;
const MASTER_ATTEMPTS = 40;
const MASTER_RETRY_MS = 50;

/** Sends commands to one HAProxy process through a unix socket: a worker's runtime API, or the master's. */
export interface RuntimeClient {
  /** One command or several with `;`. Answers what HAProxy said, trimmed. @throws Problem `unavailable` when nobody answers. */
  command(text: string): Promise<string>;
}

export function createRuntimeClient(socketPath: string, clock: Clock): RuntimeClient {
  return { command: (text) => exchange(socketPath, text, clock) };
}

/** The master's own commands. Waits while it executes itself anew, which it does at each reload. */
export function createMasterClient(socketPath: string, clock: Clock): RuntimeClient {
  return {
    async command(text) {
      for (let left = MASTER_ATTEMPTS; ; left--) {
        try {
          return await exchange(socketPath, text, clock);
        } catch (error) {
          if (left === 0) throw error;
          await clock.sleep(MASTER_RETRY_MS);
        }
      }
    },
  };
}

/** The worker `pid` of the master listening at `masterSocket`, also one that is being replaced and finishes its connections. */
export function workerThroughMaster(masterSocket: string, pid: number, clock: Clock): RuntimeClient {
  return { command: (text) => exchange(masterSocket, `@!${pid} ${text}`, clock) };
}

function exchange(path: string, text: string, clock: Clock): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection({ path });
    const fail = (why: string, cause?: unknown): void => {
      timer[Symbol.dispose]();
      socket.destroy();
      reject(new Problem("unavailable", `HAProxy did not answer "${text.slice(0, 60)}" on ${path}: ${why}`, { cause }));
    };
    const timer = clock.setTimer(TIMEOUT_MS, () => fail(`nothing within ${TIMEOUT_MS / 1000} s`));
    socket.on("connect", () => socket.end(`${text}\n`));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", (error) => fail(error.message, error));
    socket.on("end", () => {
      timer[Symbol.dispose]();
      resolve(Buffer.concat(chunks).toString().trim());
    });
  });
}
