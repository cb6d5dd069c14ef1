/** Runs inside a network namespace: for each line `<address> <port>` on stdin it answers a line once somebody accepts there. */
import { createInterface } from "node:readline";
import { firstConnection } from "./first-connection.ts";

for await (const line of createInterface({ input: process.stdin })) {
  const [host = "", port = ""] = line.split(" ");
  await firstConnection(host, Number(port));
  console.log("connected");
}
