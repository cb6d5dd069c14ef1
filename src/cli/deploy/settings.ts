import { basename, join } from "node:path";
import { FARGATE_CPU_UNITS, fargateMemoryInWords, isFargateSize, leastFargateMemoryMiB } from "../../core/fargate-sizes.ts";
import { readTextIfAny, writeFileAtomically } from "../../host/files.ts";
import { UsageError } from "../command.ts";

/** What `tidegate.json` keeps beside the Dockerfile: a second deploy repeats the first. */
export interface DeploySettings {
  readonly name: string;
  /** The orchestrator. */
  readonly on: "ecs" | "eks";
  readonly cluster: string;
  /** Path of the Dockerfile inside the folder. */
  readonly dockerfile: string;
  readonly target?: string;
  /** Left out: the image's one EXPOSEd port; a worker without a load balancer when it has none. */
  readonly port?: number;
  /** CPU units, 1024 = 1 vCPU. */
  readonly cpu: number;
  /** MiB. */
  readonly memory: number;
  readonly healthPath: string;
  readonly count: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Files of `NAME=value` lines, relative to the folder. */
  readonly envFiles: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Secret id -> file, relative to the folder. */
  readonly buildSecrets: Readonly<Record<string, string>>;
}

export interface DeployFlags {
  readonly name?: string;
  readonly on?: string;
  readonly cluster?: string;
  readonly dockerfile?: string;
  readonly target?: string;
  readonly port?: string;
  readonly cpu?: string;
  readonly memory?: string;
  readonly healthPath?: string;
  readonly count?: string;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly buildArg?: readonly string[];
  readonly buildSecret?: readonly string[];
}

const KNOWN = new Set([
  "name",
  "on",
  "cluster",
  "dockerfile",
  "target",
  "port",
  "cpu",
  "memory",
  "healthPath",
  "count",
  "environment",
  "envFiles",
  "buildArgs",
  "buildSecrets",
]);
const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

const settingsPath = (folder: string): string => join(folder, "tidegate.json");

/** The kept settings with the flags over them. @throws UsageError naming what is wrong and where it stands. */
export async function readSettings(folder: string, flags: DeployFlags): Promise<DeploySettings> {
  const text = await readTextIfAny(settingsPath(folder));
  const kept = text === undefined ? {} : parseKept(settingsPath(folder), text);
  return mergeSettings(kept, flags, basename(folder));
}

/** Keeps them beside the Dockerfile; what is as by default is left out. Not written when nothing changed. */
export async function writeSettings(folder: string, settings: DeploySettings): Promise<void> {
  const defaults = mergeSettings({}, {}, settings.name);
  const kept = Object.fromEntries(
    Object.entries(settings).filter(
      ([key, value]) => key === "name" || (value !== undefined && JSON.stringify(value) !== JSON.stringify(defaults[key as keyof DeploySettings])),
    ),
  );
  const text = `${JSON.stringify({ ...kept, cpu: settings.cpu, memory: settings.memory, count: settings.count }, null, 2)}\n`;
  const before = await readTextIfAny(settingsPath(folder));
  if (before !== undefined && JSON.stringify(sorted(JSON.parse(before) as object)) === JSON.stringify(sorted(JSON.parse(text) as object))) return;
  await writeFileAtomically(settingsPath(folder), text);
}

function sorted(value: object): unknown {
  return Object.entries(value).sort(([a], [b]) => a.localeCompare(b));
}

function parseKept(path: string, text: string): Partial<DeploySettings> {
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${path} is no JSON: ${(cause as Error).message}`);
  }
  if (kept === null || typeof kept !== "object" || Array.isArray(kept)) throw new UsageError(`${path} must hold a JSON object`);
  for (const key of Object.keys(kept)) {
    if (!KNOWN.has(key)) throw new UsageError(`${path}: there is no setting "${key}"; there are ${[...KNOWN].join(", ")}`);
  }
  checkTypes(path, kept as Readonly<Record<string, unknown>>);
  return kept;
}

const isString = (value: unknown): boolean => typeof value === "string";
const TEXTS = ["name", "on", "cluster", "dockerfile", "target", "healthPath"];
const MAPS = ["environment", "buildArgs", "buildSecrets"];

/** Numbers are checked with the flags of the same name. */
function checkTypes(path: string, kept: Readonly<Record<string, unknown>>): void {
  const given = (keys: readonly string[]): readonly (readonly [string, unknown])[] =>
    keys.filter((key) => kept[key] !== undefined).map((key) => [key, kept[key]]);
  for (const [key, value] of given(TEXTS)) if (!isString(value)) throw new UsageError(`${path}: "${key}" must be a string`);
  for (const [key, value] of given(MAPS)) {
    const ok = typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isString);
    if (!ok) throw new UsageError(`${path}: "${key}" must be an object of strings`);
  }
  for (const [key, value] of given(["envFiles"]))
    if (!Array.isArray(value) || !value.every(isString)) throw new UsageError(`${path}: "${key}" must be a list of strings`);
}

/** Pure. @throws UsageError */
export function mergeSettings(kept: Partial<DeploySettings>, flags: DeployFlags, folderName: string): DeploySettings {
  const name =
    flags.name ??
    kept.name ??
    folderName
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "");
  if (!NAME.test(name) || name.length > 32)
    throw new UsageError(`"${name}" is no service name: up to 32 lower-case letters, digits and inner hyphens. Say another with --name.`);
  return {
    name,
    on: orchestrator(flags.on ?? kept.on ?? "ecs"),
    cluster: flags.cluster ?? kept.cluster ?? "default",
    dockerfile: flags.dockerfile ?? kept.dockerfile ?? "Dockerfile",
    target: flags.target ?? kept.target,
    port: wholeNumber("port", flags.port ?? kept.port, { minimum: 0, maximum: 65_535 }),
    ...fargateSize(flags.cpu ?? kept.cpu, flags.memory ?? kept.memory),
    healthPath: absolutePath(flags.healthPath ?? kept.healthPath ?? "/"),
    count: wholeNumber("count", flags.count ?? kept.count, { minimum: 0, maximum: 5000 }) ?? 2,
    environment: { ...kept.environment, ...pairs("--env", flags.env) },
    envFiles: flags.envFile ?? kept.envFiles ?? [],
    buildArgs: { ...kept.buildArgs, ...pairs("--build-arg", flags.buildArg) },
    buildSecrets: { ...kept.buildSecrets, ...pairs("--build-secret", flags.buildSecret) },
  };
}

/** Refused here, before anything is built; ECS would refuse the task definition after the build. */
function fargateSize(
  givenCpu: string | number | undefined,
  givenMemory: string | number | undefined,
): { readonly cpu: number; readonly memory: number } {
  const cpu = wholeNumber("cpu", givenCpu, { minimum: 256, maximum: 32_768 }) ?? 256;
  const memory = wholeNumber("memory", givenMemory, { minimum: 512, maximum: 249_856 }) ?? leastFargateMemoryMiB(cpu) ?? 512;
  if (isFargateSize(cpu, memory)) return { cpu, memory };
  const words = fargateMemoryInWords(cpu);
  if (words === undefined) throw new UsageError(`Fargate has no tasks of cpu ${cpu}; there are ${FARGATE_CPU_UNITS.join(", ")} (1024 = 1 vCPU)`);
  throw new UsageError(`Fargate has no tasks of cpu ${cpu} with memory ${memory}; with cpu ${cpu} the memory can be ${words} (--memory)`);
}

function orchestrator(on: string): DeploySettings["on"] {
  if (on === "ecs" || on === "eks") return on;
  throw new UsageError(`--on takes ecs or eks, not "${on}"`);
}

function absolutePath(path: string): string {
  if (path.startsWith("/")) return path;
  throw new UsageError(`the health path must begin with "/", not "${path}"`);
}

function wholeNumber(
  name: string,
  value: string | number | undefined,
  range: { readonly minimum: number; readonly maximum: number },
): number | undefined {
  if (value === undefined) return undefined;
  const number = value === "" ? Number.NaN : Number(value);
  if (Number.isInteger(number) && number >= range.minimum && number <= range.maximum) return number;
  throw new UsageError(`${name} must be a whole number from ${range.minimum} to ${range.maximum}, not "${value}"`);
}

function pairs(flag: string, given: readonly string[] | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (given ?? []).map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new UsageError(`${flag} takes ${flag === "--build-secret" ? "id=file" : "NAME=value"}, not "${text}"`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** `NAME=value` lines; `#` comments and empty lines are left out, quotes around a value go. @throws UsageError with the line's number. */
export function parseEnvFile(path: string, text: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)=(.*)$/.exec(line);
    if (match === null) throw new UsageError(`${path}:${index + 1} is no NAME=value line`);
    const [, name = "", value = ""] = match;
    variables[name] = /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value;
  }
  return variables;
}
