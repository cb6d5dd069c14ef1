import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../core/clock.ts";
import type { KeptInstance } from "../../core/config.ts";
import { readTextIfAny } from "../../host/files.ts";
import { holderOfPort } from "../../host/listeners.ts";
import { type Command, CommandError } from "../command.ts";
import { readHealth } from "../health-answer.ts";
import { readInstance, serverPid } from "../instance-files.ts";
import type { Session } from "../session.ts";

interface UpOptions {
  readonly detach?: boolean;
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

const START_TIMEOUT_MS = 90_000;
const DEFAULT_PORT = 4566;
/** So `server/main.ts` begins its last words. */
const GIVING_UP = "tidegate cannot start: ";

/** Starts the control plane: in the foreground, or with `--detach` in the background once it serves. */
export const up: Command<UpOptions> = {
  usage: "up",
  summary: "start Tidegate",
  options: [
    ["--detach", "in the background; returns when it serves"],
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
  ],
  async run({ options, session }) {
    const instance = await readInstance(session.dataDir);
    const pid = instance === undefined ? undefined : await serverPid(instance);
    if (pid !== undefined) {
      session.output.line(`Tidegate runs already: http://localhost:${instance?.port} (pid ${pid}, ${session.dataDir}).`);
      return 0;
    }
    const command = serverCommand(session.dataDir, options);
    const holder = instance === undefined && options.port === undefined ? holderOfPort("127.0.0.1", DEFAULT_PORT) : undefined;
    if (holder !== undefined) session.output.note(`Port ${DEFAULT_PORT} is taken by ${holder}: the next free one is used, and kept.`);
    return options.detach === true ? startDetached(session, command) : runInForeground(command);
  },
};

/** Flags are handed on as they are; the server checks them. */
function serverCommand(dataDir: string, options: UpOptions): readonly string[] {
  const program = fileURLToPath(new URL("../../server/main.ts", import.meta.url));
  const flags: string[] = ["--data-dir", dataDir];
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
  return [process.execPath, "--disable-warning=ExperimentalWarning", program, ...flags];
}

function runInForeground([program = "", ...args]: readonly string[]): Promise<0 | 1 | 2> {
  const child = spawn(program, args, { stdio: "inherit" });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code === 0 || code === 2 ? code : 1));
  });
}

async function startDetached(session: Session, [program = "", ...args]: readonly string[]): Promise<0> {
  mkdirSync(session.dataDir, { recursive: true });
  const logPath = join(session.dataDir, "tidegate.log");
  const log = openSync(logPath, "a");
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
  child.unref();
  session.output.note(`starting (log: ${logPath}) …`);
  await waitUntilServing(session, { ended, logPath });
  const instance = await session.instance();
  session.output.line(
    `Tidegate serves at http://localhost:${instance.port} (account ${instance.account}, region ${instance.region}, VPC ${instance.vpcCidr}).`,
  );
  for (const line of await publishedLines(instance)) session.output.line(line);
  session.output.line('For AWS tools: eval "$(tidegate env)". Until the policy engine comes, a valid key may do all.');
  return 0;
}

async function waitUntilServing(session: Session, child: { readonly ended: Promise<number>; readonly logPath: string }): Promise<void> {
  const untilMs = systemClock.steadyMs() + START_TIMEOUT_MS;
  let code: number | undefined;
  void child.ended.then((value) => (code = value));
  for (;;) {
    if (code !== undefined)
      throw new CommandError(
        (await lastWords(child.logPath)) ?? `Tidegate ended with ${code} while starting. Its log, ${child.logPath}, is empty.`,
        code === 2 ? 2 : 1,
      );
    if (await serves(session.dataDir)) return;
    if (systemClock.steadyMs() > untilMs)
      throw new CommandError(`Tidegate does not serve after ${START_TIMEOUT_MS / 1000} s. Its log says:\n${await lastLines(child.logPath)}`);
    await systemClock.sleep(50);
  }
}

async function serves(dataDir: string): Promise<boolean> {
  const instance = await readInstance(dataDir);
  if (instance === undefined || (await serverPid(instance)) === undefined) return false;
  return (await readHealth(instance).catch(() => undefined))?.serving === true;
}

/** How the ports stand that `--publish` named; one that waits for its load balancer is no failure of the start. */
async function publishedLines(instance: KeptInstance): Promise<readonly string[]> {
  const { checks } = await readHealth(instance);
  const published = checks.filter(({ name }) => name.startsWith("publish "));
  return published.map(({ name, ok, detail }) => `${name.replace(/^publish/, ok ? "Published:" : "NOT published:")} ${detail}`);
}

/** What the server said as it gave up, which names what to do; else the end of its log. */
async function lastWords(path: string): Promise<string | undefined> {
  const lines = await lastLines(path);
  const said = lines.lastIndexOf(GIVING_UP);
  if (said >= 0) return `${lines.slice(said)}\n(log: ${path})`;
  return lines === "" ? undefined : `Tidegate ended while starting. Its log, ${path}, says:\n${lines}`;
}

async function lastLines(path: string): Promise<string> {
  return ((await readTextIfAny(path)) ?? "").trimEnd().split("\n").slice(-12).join("\n");
}
