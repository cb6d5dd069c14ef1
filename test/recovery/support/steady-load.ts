import { Agent, request } from "node:http";
import { systemClock } from "../../../src/core/clock.ts";

export interface SteadyLoad extends AsyncDisposable {
  failures(): readonly string[];
  answered(): number;
  /** Drops the failures of requests that were under way in this time, as while HAProxy itself is dead. */
  forgive(fromMs: number, toMs: number): void;
}

const TIMEOUT_MS = 15_000;
const CLIENTS = 3;
const PAUSE_MS = 20;

/**
 * Clients that ask without end, one request at a time each: by turns on a connection that is kept and on a new one. Nothing is ever
 * repeated; each answer that is not a 200 is a failure.
 */
export function steadyLoad(url: string): SteadyLoad {
  const agents = [new Agent({ keepAlive: true, maxSockets: CLIENTS }), new Agent({ keepAlive: false })];
  let failures: { readonly fromMs: number; readonly toMs: number; readonly text: string }[] = [];
  const ending = new AbortController();
  let answered = 0;
  const client = async (): Promise<void> => {
    for (let turn = 0; !ending.signal.aborted; turn++) {
      const agent = agents[turn % 2] as Agent;
      const fromMs = systemClock.nowMs();
      await ask(url, agent).catch((error: Error) => {
        const toMs = systemClock.nowMs();
        const text = `${new Date(fromMs).toISOString()} ${url} (${turn % 2 === 0 ? "kept" : "new"} connection): ${error.message} after ${toMs - fromMs} ms`;
        failures.push({ fromMs, toMs, text });
      });
      answered += 1;
      await systemClock.sleep(PAUSE_MS);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    failures: () => failures.map(({ text }) => text),
    forgive: (fromMs, toMs) => void (failures = failures.filter((failure) => failure.toMs < fromMs || failure.fromMs > toMs)),
    answered: () => answered,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await clients;
      for (const agent of agents) agent.destroy();
    },
  };
}

function ask(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { agent, timeout: TIMEOUT_MS }, (response) => {
      response.on("error", reject).on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`status ${response.statusCode}`))));
      response.resume();
    });
    asking.on("timeout", () => asking.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asking.on("error", reject);
    asking.end();
  });
}
