/**
 * Opens as many tracked connections as it is told, and leaves them open: UDP packets to other ports of one address each.
 *
 *     node test/support/flood.ts <address> <connections>
 */
import { createSocket } from "node:dgram";

const [address = "", count = "0"] = process.argv.slice(2);
const PORTS = 60_000;
const AT_ONCE = 200;

const sockets = Array.from({ length: Math.ceil(Number(count) / PORTS) }, () => createSocket("udp4"));

function send(number: number): Promise<void> {
  const socket = sockets[Math.floor(number / PORTS)];
  return new Promise((resolve) => socket?.send("x", 1024 + (number % PORTS), address, () => resolve()));
}

for (let from = 0; from < Number(count); from += AT_ONCE) {
  const batch = Array.from({ length: Math.min(AT_ONCE, Number(count) - from) }, (_, index) => from + index);
  await Promise.all(batch.map((number) => send(number)));
}
for (const socket of sockets) socket.close();
