/** unbound's control protocol over its unix socket: what `unbound-control` speaks, without a process for each call. */
import { connect } from "node:net";
import { Problem } from "../core/problem.ts";

/**
 * Sends one command, with input lines for those that read some, and answers what it printed.
 * @throws Problem `unavailable` when the resolver is not there or refuses.
 */
export function unboundControl(socketPath: string, command: string, input?: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const chunks: Buffer[] = [];
    const fail = (words: string, cause?: unknown): void => {
      socket.destroy();
      reject(new Problem("unavailable", `the resolver at ${socketPath} ${words}`, { cause }));
    };
    socket.setTimeout(10_000, () => fail(`did not answer ${command}`));
    socket.on("error", (error) => fail(`cannot be asked to ${command}: ${error.message}`, error));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => {
      socket.end();
      const text = Buffer.concat(chunks).toString();
      // It says something to each command: one that says nothing has died of it, or with it.
      if (text === "") fail(`hung up on ${command}`);
      else if (text.startsWith("error")) fail(`refused ${command}: ${text.trim()}`);
      else resolve(text);
    });
    const lines = input === undefined ? "" : [...input, "\u0004"].map((line) => `${line}\n`).join("");
    socket.write(`UBCT1 ${command}\n${lines}`);
  });
}
