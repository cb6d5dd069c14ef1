/**
 * An HTTP client of its own process, so that nothing else starves it: sends requests at a fixed rate, whatever the answers do, and never
 * repeats one. Half go over kept-alive connections, half over new ones; every fourth is a POST whose body must come back.
 *
 *     node test/support/load.ts <url> <requests per second>
 *
 * On stdin, a line `slow <seconds>` sends one long request and `stop` ends the run: open requests are waited for, and a `LoadReport` is
 * printed as JSON.
 */
import { Agent, request } from "node:http";
import { createInterface } from "node:readline";
import { setInterval } from "node:timers";
import type { LoadFailure, LoadReport, SlowAnswer } from "./load-run.ts";

const [url = "", rate = "200"] = process.argv.slice(2);
const TICK_MS = 10;
const TIMEOUT_MS = 60_000;
const agents = { kept: new Agent({ keepAlive: true, maxSockets: 32, scheduling: "fifo" }), fresh: new Agent({ keepAlive: false }) };
const failures: LoadFailure[] = [];
const slow: SlowAnswer[] = [];
const messages: Record<string, number> = {};
const tasks: Record<string, number> = {};
const open = new Set<Promise<unknown>>();
const startedAtMs = performance.now();
let sent = 0;
let slowestMs = 0;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly reused: boolean;
}

interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly connection: keyof typeof agents;
  readonly body?: string;
}

function send({ method, path, connection, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sending = request(new URL(path, url), { method, agent: agents[connection], headers, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("aborted", () => reject(new Error("the answer was cut off")));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), reused: sending.reusedSocket }));
    });
    sending.on("timeout", () => sending.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    sending.on("error", (error: NodeJS.ErrnoException) => reject(new Error(`${error.code ?? ""} ${error.message}`.trim())));
    sending.end(body);
  });
}

/** Sends one request and judges its answer. */
async function one(number: number): Promise<void> {
  const connection = number % 2 === 0 ? "kept" : "fresh";
  const body = Math.floor(number / 2) % 4 === 0 ? JSON.stringify({ number, filler: "x".repeat(2048) }) : undefined;
  const call: Call = { method: body === undefined ? "GET" : "POST", path: body === undefined ? "/" : "/echo", connection, body };
  const atMs = performance.now();
  let reused = false;
  try {
    const answer = await send(call);
    reused = answer.reused;
    if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body.slice(0, 120)}`);
    const { message, received, ip } = JSON.parse(answer.body) as { message?: string; received?: unknown; ip: string };
    if (body !== undefined && JSON.stringify(received) !== body) throw new Error("another body came back");
    if (body === undefined) messages[String(message)] = (messages[String(message)] ?? 0) + 1;
    tasks[ip] = (tasks[ip] ?? 0) + 1;
  } catch (error) {
    failures.push({
      atMs: Math.round(atMs - startedAtMs),
      call: `${call.method} ${call.path} (${connection})`,
      reused,
      error: (error as Error).message,
    });
  }
  slowestMs = Math.max(slowestMs, performance.now() - atMs);
}

async function oneSlow(seconds: number): Promise<void> {
  const atMs = performance.now();
  try {
    const answer = await send({ method: "GET", path: `/slow?seconds=${seconds}`, connection: "fresh" });
    const { slept, ip } = JSON.parse(answer.body) as { slept: number; ip: string };
    slow.push({ status: answer.status, slept, ip, tookMs: Math.round(performance.now() - atMs) });
  } catch (error) {
    failures.push({ atMs: Math.round(atMs - startedAtMs), call: "GET /slow", reused: false, error: (error as Error).message });
  }
}

function track(promise: Promise<unknown>): void {
  open.add(promise);
  void promise.finally(() => open.delete(promise));
}

// As many as the time passed asks for, so that a late timer lowers no rate.
const timer = setInterval(() => {
  const due = Math.floor(((performance.now() - startedAtMs) / 1000) * Number(rate));
  while (sent < due) track(one(sent++));
}, TICK_MS);

for await (const line of createInterface({ input: process.stdin })) {
  const [word, seconds] = line.split(" ");
  if (word === "slow") track(oneSlow(Number(seconds)));
  if (word === "stop") break;
}
clearInterval(timer);
await Promise.all(open);
const seconds = (performance.now() - startedAtMs) / 1000;
const report: LoadReport = { sent, seconds, failures, slow, messages, tasks, slowestMs: Math.round(slowestMs) };
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
