/** Starting the server as a process: what `up` and `restart` share. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../core/clock.ts";
import type { KeptInstance } from "../core/config.ts";
import { makeFolder, readTextIfAny } from "../host/files.ts";
import { nodeCommand } from "../host/node-command.ts";
import { CommandError } from "./command.ts";
import { readHealth } from "./health-answer.ts";
import { readInstance, serverPid } from "./instance-files.ts";
import { DEFAULT_DATA_DIR, type Session } from "./session.ts";

/** The server's flags, as the parser hands them over. */
export interface ServerOptions {
  readonly port?: string;
  readonly vpcCidr?: string;
  readonly account?: string;
  readonly region?: string;
  readonly auth?: string;
  readonly engine?: string;
  readonly hostPort?: readonly string[];
  readonly publish?: readonly string[];
  readonly hosts?: boolean;
  readonly trustHostCa?: boolean;
}

/** In commander's form. */
export const SERVER_OPTIONS: readonly (readonly [flags: string, text: string])[] = [
  ["--port <port>", "of the one listener (default 4566, or the next free one)"],
  ["--vpc-cidr <cidr>", "of the default VPC (default 172.31.0.0/16, or a free one)"],
  ["--account <id>", "twelve digits, at first start"],
  ["--region <region>", "of the default VPC, at first start (default us-east-1)"],
  ["--auth <iam|none>", "check signatures (default iam)"],
  ["--engine <cri|simulated>", "what runs containers (default cri)"],
  ["--host-port <port...>", "a port of this host that tasks reach at host.tidegate.internal"],
  ["--publish <ports=load-balancer...>", "let the world in at ports of this host, e.g. 0.0.0.0:80,443=web"],
  ["--no-hosts", "leave /etc/hosts alone"],
  ["--trust-host-ca", "tasks trust this host's CA bundle"],
];

const PROGRAM = fileURLToPath(new URL("../server/main.ts", import.meta.url));
/** Room for what dies young: V8's own 16 MiB, three times over, stay resident once a start has filled them. With less than this, requests pay for it. */
const NODE_FLAGS = ["--max-semi-space-size=8"];
const START_TIMEOUT_MS = 90_000;
/** So `server/main.ts` begins its last words. */
export const GIVING_UP = "tidegate cannot start: ";

/** The server's command with these flags; the server checks them. */
export function serverCommand(dataDir: string, flags: readonly string[]): readonly string[] {
  return nodeCommand(PROGRAM, ["--data-dir", dataDir, ...flags], NODE_FLAGS);
}

/** The flags as the server takes them. */
export function flagsOf(options: ServerOptions): readonly string[] {
  const flags: string[] = [];
  const values = {
    port: options.port,
    "vpc-cidr": options.vpcCidr,
    account: options.account,
    region: options.region,
    auth: options.auth,
    engine: options.engine,
  };
  for (const [name, value] of Object.entries(values)) if (value !== undefined) flags.push(`--${name}`, value);
  for (const port of options.hostPort ?? []) flags.push("--host-port", port);
  for (const text of options.publish ?? []) flags.push("--publish", text);
  if (options.hosts === false) flags.push("--no-hosts");
  if (options.trustHostCa === true) flags.push("--trust-host-ca");
  return flags;
}

/** The flags of the last start; none when it is not known. */
export async function lastFlags(dataDir: string): Promise<readonly string[]> {
  const text = await readTextIfAny(join(dataDir, "last-start.json"));
  return text === undefined ? [] : (JSON.parse(text) as { readonly flags: readonly string[] }).flags;
}

/** Where the output of a server in the background goes. */
export function logPathOf(session: Session): string {
  return join(session.dataDir, "tidegate.log");
}

/** Starts the server in the background and says where it serves. @throws CommandError with its last words. */
export async function startDetached(session: Session, [program = "", ...args]: readonly string[]): Promise<0> {
  await makeFolder(session.dataDir);
  const logPath = logPathOf(session);
  const log = openSync(logPath, "a");
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
  child.unref();
  session.output.note(`starting (log: ${logPath}) …`);
  await waitUntilServing(session, { ended, logPath });
  await sayWhereItServes(session);
  return 0;
}

/** The endpoint, and how the published ports stand. */
export async function sayWhereItServes(session: Session): Promise<void> {
  const instance = await session.instance();
  session.output.line(
    `Tidegate serves at http://localhost:${instance.port} (account ${instance.account}, region ${instance.region}, VPC ${instance.vpcCidr}).`,
  );
  for (const line of await publishedLines(instance)) session.output.line(line);
  const folder = session.dataDir === DEFAULT_DATA_DIR ? "" : ` --data-dir ${session.dataDir}`;
  session.output.line(`For AWS tools: eval "$(tidegate${folder} env)". Until the policy engine comes, a valid key may do all.`);
}

/** @throws CommandError when the process ends first, or takes too long. */
async function waitUntilServing(session: Session, child: { readonly ended: Promise<number>; readonly logPath: string }): Promise<void> {
  const untilMs = systemClock.steadyMs() + START_TIMEOUT_MS;
  let code: number | undefined;
  // One that ends while it is being asked may leave the question open: its port may be another's.
  const ended = new AbortController();
  void child.ended.then((value) => (code = value)).finally(() => ended.abort());
  for (;;) {
    if (code !== undefined)
      throw new CommandError(
        (await lastWords(child.logPath)) ?? `Tidegate ended with ${code} while starting. Its log, ${child.logPath}, is empty.`,
        code === 2 ? 2 : 1,
      );
    if (await serves(session.dataDir, ended.signal)) return;
    if (code === undefined && systemClock.steadyMs() > untilMs)
      throw new CommandError(`Tidegate does not serve after ${START_TIMEOUT_MS / 1000} s. Its log says:\n${await lastLines(child.logPath)}`);
    await systemClock.sleep(50);
  }
}

/** Whether a process serves the instance, and has started whole; one that does not answer within five seconds, or before `signal`, does not. */
export async function serves(dataDir: string, signal?: AbortSignal): Promise<boolean> {
  const instance = await readInstance(dataDir);
  if (instance === undefined || (await serverPid(instance)) === undefined) return false;
  // Another instance may have the port: then ours ends, and says so.
  const health = await readHealth(instance, signal).catch(() => undefined);
  return health?.serving === true && health.instanceId === instance.instanceId;
}

/** How the ports stand that `--publish` named; one that waits for its load balancer is no failure of the start. */
async function publishedLines(instance: KeptInstance): Promise<readonly string[]> {
  const { checks } = await readHealth(instance);
  const published = checks.filter(({ name }) => name.startsWith("publish "));
  return published.map(({ name, ok, detail }) => `${name.replace(/^publish/, ok ? "Published:" : "NOT published:")} ${detail}`);
}

/** What the server said as it gave up, which names what to do; else the end of its log; `undefined` when that is empty. */
export async function lastWords(path: string): Promise<string | undefined> {
  const lines = await lastLines(path);
  const said = lines.lastIndexOf(GIVING_UP);
  if (said >= 0) return `${lines.slice(said)}\n(log: ${path})`;
  return lines === "" ? undefined : `Tidegate ended while starting. Its log, ${path}, says:\n${lines}`;
}

async function lastLines(path: string): Promise<string> {
  return ((await readTextIfAny(path)) ?? "").trimEnd().split("\n").slice(-12).join("\n");
}
