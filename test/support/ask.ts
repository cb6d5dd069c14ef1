/**
 * Clients that ask without pause and repeat nothing, as a process of their own: half keep their connection, half open one for each request.
 *
 *     node test/support/ask.ts url <url>         a web page
 *     node test/support/ask.ts api <endpoint>    the ECS and CloudWatch Logs APIs, with the credentials in the environment: a read, a write
 *
 * SIGTERM ends it: what is open is waited for, and an {@link AskReport} is printed as JSON.
 */
import { Agent, request } from "node:http";
import { CloudWatchLogsClient, CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import { ECSClient, ListClustersCommand } from "@aws-sdk/client-ecs";
import type { AskReport } from "./ask-run.ts";

const [mode = "", target = ""] = process.argv.slice(2);
const CLIENTS = 4;
const failures: AskReport["failures"][number][] = [];
const answers: Record<string, number> = {};
const written: string[] = [];
const startedMs = performance.now();
let answered = 0;
let slowestMs = 0;
const ending = new AbortController();
process.on("SIGTERM", () => ending.abort());

function get(agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(target, { agent, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString().trim();
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`status ${response.statusCode}: ${text.slice(0, 100)}`));
      });
    });
    asking.on("timeout", () => asking.destroy(new Error("no answer within 30 s")));
    asking.on("error", reject);
    asking.end();
  });
}

function api(agent: Agent, client: number): (number: number) => Promise<string> {
  const options = { endpoint: target, maxAttempts: 1, requestHandler: { httpAgent: agent } };
  const [ecs, logs] = [new ECSClient(options), new CloudWatchLogsClient(options)];
  return async (number) => {
    if (number % 2 === 0) return String((await ecs.send(new ListClustersCommand({}))).clusterArns?.length);
    const logGroupName = `/asked/${client}/${process.pid}/${number}`;
    await logs.send(new CreateLogGroupCommand({ logGroupName }));
    written.push(logGroupName);
    return "written";
  };
}

async function askOn(client: number): Promise<void> {
  const agent = new Agent({ keepAlive: client % 2 === 0 });
  const ask = mode === "api" ? api(agent, client) : () => get(agent);
  for (let number = 0; !ending.signal.aborted; number++) {
    const atMs = performance.now();
    try {
      const answer = await ask(number);
      answers[answer] = (answers[answer] ?? 0) + 1;
      answered += 1;
    } catch (error) {
      failures.push({ atMs: Math.round(atMs - startedMs), kept: client % 2 === 0, error: `${(error as Error).name} ${(error as Error).message}` });
      // Whoever is refused at once would ask thousands of times.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    slowestMs = Math.max(slowestMs, performance.now() - atMs);
  }
}

process.stdout.write("asking\n");
await Promise.all(Array.from({ length: CLIENTS }, (_, client) => askOn(client)));
const report: AskReport = { answered, answers, failures, written, slowestMs: Math.round(slowestMs) };
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
