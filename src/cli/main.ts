import { Command as Parser, CommanderError } from "commander";
import { messageOf } from "../core/problem.ts";
import { type Command, CommandError, UsageError } from "./command.ts";
import { backup } from "./commands/backup.ts";
import { deploy } from "./commands/deploy.ts";
import { doctor } from "./commands/doctor.ts";
import { down } from "./commands/down.ts";
import { env } from "./commands/env.ts";
import { images } from "./commands/images.ts";
import { install } from "./commands/install.ts";
import { logs } from "./commands/logs.ts";
import { ps } from "./commands/ps.ts";
import { restart } from "./commands/restart.ts";
import { restore } from "./commands/restore.ts";
import { snapshots } from "./commands/snapshots.ts";
import { status } from "./commands/status.ts";
import { supportBundle } from "./commands/support-bundle.ts";
import { uninstall } from "./commands/uninstall.ts";
import { up } from "./commands/up.ts";
import { createOutput } from "./output.ts";
import { createSession, DEFAULT_DATA_DIR } from "./session.ts";

// eslint-disable-next-line typescript/no-explicit-any -- variance: each command has its own options
const COMMANDS: readonly Command<any>[] = [
  up,
  down,
  restart,
  status,
  env,
  doctor,
  deploy,
  ps,
  logs,
  images,
  install,
  uninstall,
  backup,
  restore,
  snapshots,
  supportBundle,
];

const output = createOutput();

// `tidegate ps | head` is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

function buildParser(): Parser {
  const parser = new Parser("tidegate")
    .description("AWS Fargate with ECS and EKS, on your own machines")
    .option("--data-dir <folder>", "where this instance keeps its data", process.env["TIDEGATE_DATA_DIR"] ?? DEFAULT_DATA_DIR)
    .showHelpAfterError("(--help shows what there is)")
    .exitOverride();
  for (const command of COMMANDS) addCommand(parser, command);
  return parser;
}

function addCommand(parser: Parser, command: Command): void {
  const sub = parser.command(command.usage).description(command.summary).exitOverride();
  sub.option("--data-dir <folder>", "where this instance keeps its data");
  for (const [flags, text] of command.options) addOption(sub, { flags, text });
  sub.action(async (...given: unknown[]) => {
    const options = sub.optsWithGlobals<{ dataDir: string; json?: boolean }>();
    const args = given.slice(0, -2) as (string | undefined)[];
    const session = createSession({ dataDir: options.dataDir, output, json: options.json === true });
    process.exitCode = (await command.run({ arguments: args, options, session })) ?? 0;
  });
}

/** `--env <NAME=value...>` is given once a value: taking all words that follow would swallow the folder. */
function addOption(sub: Parser, { flags, text }: { readonly flags: string; readonly text: string }): void {
  if (!flags.endsWith("...>")) return void sub.option(flags, text);
  const collect = (value: string, before?: readonly string[]): readonly string[] => [...(before ?? []), value];
  sub.option(flags.replace("...>", ">"), `${text} (may be repeated)`, collect);
}

try {
  await buildParser().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const refused = connectionRefused(error);
  output.note(`${output.style("red", "tidegate:")} ${refused ?? messageOf(error)}`);
  if (process.env["TIDEGATE_DEBUG"] !== undefined) output.note(String((error as Error).stack));
  if (error instanceof UsageError) return 2;
  if (refused !== undefined) return 3;
  return error instanceof CommandError ? error.exitCode : 1;
}

function connectionRefused(error: unknown): string | undefined {
  const { code, cause } = error as { readonly code?: string; readonly cause?: { readonly code?: string } };
  if (code !== "ECONNREFUSED" && cause?.code !== "ECONNREFUSED") return undefined;
  return "Tidegate does not answer. What it runs goes on; `tidegate up --detach` starts the control plane again.";
}
