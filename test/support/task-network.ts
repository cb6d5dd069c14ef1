/** What a task in a test's machine can reach, asked with the machine's own curl in the task's network namespace. */
import { INTERNET_ADDRESS, type Machine } from "./machine.ts";

/** Of somebody on the internet who answers every request with the address that it came from. */
export const INTERNET_URL = `http://${INTERNET_ADDRESS}:8000/`;

const WHO_ASKS = `
require("node:http").createServer((request, response) => response.end(request.socket.remoteAddress)).listen(8000, ${JSON.stringify(INTERNET_ADDRESS)});
`;

/** Starts the one behind {@link INTERNET_URL}. */
export function answerOnTheInternet(machine: Machine): AsyncDisposable {
  return machine.outsideBackground(["node", "-e", WHO_ASKS]);
}

/** The pid, in the machine, of the container process whose command line is `command`. @throws when there is none. */
export async function pidOf(machine: Machine, command: string): Promise<string> {
  const { stdout } = await machine.exec(["ps", "-eo", "pid=,args="]);
  const line = stdout.split("\n").find((text) => text.replace(/^\s*\d+\s+/, "") === command);
  if (line === undefined) throw new Error(`no process in the machine is "${command}":\n${stdout}`);
  return line.trim().split(" ")[0] ?? "";
}

/** What a task gets from `url`: the body, or in a word why not. */
export async function getFromTask(machine: Machine, command: string, url: string): Promise<string> {
  const curl = ["curl", "--silent", "--show-error", "--max-time", "3", url];
  const { code, stdout, stderr } = await machine.exec(["nsenter", `--target=${await pidOf(machine, command)}`, "--net", "--", ...curl], {
    okCodes: [0, 6, 7, 28, 52],
  });
  return code === 0 ? stdout : stderr.trim();
}
