/** Connects to each TCP port of an address and prints those that let it in, as JSON: `node scan-ports.ts <address> 1-65535` or `… 22,80`. */
import { connect } from "node:net";

const [address = "", wanted = ""] = process.argv.slice(2);
const AT_ONCE = 256;
const TIMEOUT_MS = 1_500;
const [from, to] = wanted.split("-").map(Number);
const ports = to === undefined ? wanted.split(",").map(Number) : Array.from({ length: to - (from ?? 0) + 1 }, (_, index) => (from ?? 0) + index);
const open: number[] = [];

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(TIMEOUT_MS, () => end(false));
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}

async function work(): Promise<void> {
  for (let port = ports.pop(); port !== undefined; port = ports.pop()) if (await isOpen(port)) open.push(port);
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
process.stdout.write(`${JSON.stringify(open.toSorted((a, b) => a - b))}\n`);
