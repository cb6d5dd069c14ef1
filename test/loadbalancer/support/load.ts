import { Agent } from "node:http";
import { systemClock } from "../../../src/core/clock.ts";
import { call } from "./lab.ts";

/** Clients that send requests until stopped, never repeat one, and note every failure. */
export interface Load {
  readonly failures: readonly string[];
  sent(): number;
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly clients: number;
  readonly method: "GET" | "POST";
  readonly keepAlive: boolean;
  /** Between two requests of a client. */
  readonly pauseMs: () => number;
  readonly body?: Buffer;
}

export function startLoad(url: string, { clients, method, keepAlive, pauseMs, body }: LoadOptions): Load {
  const failures: string[] = [];
  const stopping = new AbortController();
  let sent = 0;
  const client = async (): Promise<void> => {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    while (!stopping.signal.aborted) {
      sent++;
      try {
        const answer = await call(`${url}/load`, { agent, method, ...(body === undefined ? {} : { body }) });
        if (answer.status !== 200) failures.push(`${method}: ${answer.status}`);
        else if (body !== undefined && (JSON.parse(answer.body) as { bytes: number }).bytes !== body.length) failures.push(`${method}: body cut`);
      } catch (error) {
        failures.push(`${method}: ${String(error)}`);
      }
      await systemClock.sleep(pauseMs());
    }
    agent.destroy();
  };
  const running = Array.from({ length: clients }, client);
  return {
    failures,
    sent: () => sent,
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}
