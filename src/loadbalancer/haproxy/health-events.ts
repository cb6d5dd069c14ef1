import { createConnection, type Socket } from "node:net";
import type { Clock } from "../../core/clock.ts";

const RECONNECT_MS = 1_000;
/** Events come in bursts (a log line for the check, one for the server): one wake-up is enough. */
const GATHER_MS = 20;

/**
 * Waits on the ring into which a worker logs each change of health, and calls `onChange` after each, and after each connection, since what
 * came before it is not known. Reconnects until disposed.
 */
export function watchHealthEvents(socketPath: string, options: { readonly clock: Clock; onChange(): void }): Disposable {
  const { clock } = options;
  let socket: Socket | undefined;
  let gather: Disposable | undefined;
  let again: Disposable | undefined;
  let disposed = false;
  const changed = (): void => {
    gather ??= clock.setTimer(GATHER_MS, () => {
      gather = undefined;
      options.onChange();
    });
  };
  const connect = (): void => {
    // The ring's old lines come first: a wake-up too many, but no line is missed.
    socket = createConnection({ path: socketPath }, () => socket?.write("show events health -w\n"));
    socket.unref();
    socket.on("data", changed);
    socket.on("error", () => {});
    socket.on("close", () => {
      if (disposed) return;
      again = clock.setTimer(RECONNECT_MS, connect);
    });
    socket.on("connect", changed);
  };
  connect();
  return {
    [Symbol.dispose]() {
      disposed = true;
      gather?.[Symbol.dispose]();
      again?.[Symbol.dispose]();
      socket?.destroy();
    },
  };
}
