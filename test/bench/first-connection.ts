import { once } from "node:events";
import { connect } from "node:net";
import { systemClock } from "../../src/core/clock.ts";

/** Tries until somebody accepts, every `lookMs`. */
export async function firstConnection(host: string, port: number, lookMs = 2): Promise<void> {
  for (;;) {
    if (await connects(host, port)) return;
    await systemClock.sleep(lookMs);
  }
}

async function connects(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  const timer = systemClock.setTimer(500, () => socket.destroy(new Error("no answer")));
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    timer[Symbol.dispose]();
    socket.destroy();
  }
}
