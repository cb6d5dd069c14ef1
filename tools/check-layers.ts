/**
 * Holds the walls of DESIGN §2: which room of `src/` may import which. Prints each offending import; exits 1 if there is one.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

/** Rooms that everyone may import. */
const COMMON = new Set(["core", "contracts", "control", "host"]);
/** Rooms that tie the others together. */
const FREE = new Set(["server"]);
/** Rooms with other rights than the common ones. */
const NARROW: Readonly<Record<string, ReadonlySet<string>>> = {
  core: new Set(),
  contracts: new Set(["core"]),
  control: new Set(["core", "contracts"]),
  host: new Set(["core"]),
  cli: new Set(["core", "host", "builder"]),
  // The listener speaks through the protocols; no other room does.
  gateway: new Set([...COMMON, "protocol"]),
  // What clients of clusters' API servers share.
  kubelet: new Set([...COMMON, "kubernetes-client"]),
  ingress: new Set([...COMMON, "kubernetes-client"]),
};
/** Third-party packages that only one place may import. */
const WRAPPED: Readonly<Record<string, readonly string[]>> = {
  "node:sqlite": ["src/store/sqlite/"],
  "@grpc/grpc-js": ["src/engines/cri/", "src/fargate/grpc-probe"],
  "@grpc/proto-loader": ["src/engines/cri/"],
  pino: ["src/server/"],
  "@kubernetes/client-node": ["src/kubernetes-client/", "src/kubelet/", "src/ingress/"],
  "@peculiar/x509": ["src/services/eks/control-plane/"],
};

interface Offence {
  readonly file: string;
  readonly text: string;
}

const root = resolve(import.meta.dirname, "..");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** `services/ecs` and the like are rooms of their own; elsewhere the first folder is the room. */
function roomOf(file: string): string {
  const parts = relative(join(root, "src"), file).split(sep);
  return parts[0] === "services" || parts[0] === "engines" ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"']*?["']([^"']+)["']|import\(\s*["']([^"']+)["']/g)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
}

function judge(file: string, specifier: string): string | undefined {
  const where = relative(root, file);
  const only = WRAPPED[specifier];
  if (only !== undefined && !only.some((prefix) => where.startsWith(prefix))) return `${specifier} may be imported only under ${only.join(", ")}`;
  if (!specifier.startsWith(".")) return undefined;
  const target = resolve(dirname(file), specifier);
  if (!target.startsWith(join(root, "src") + sep)) return undefined;
  const from = roomOf(file);
  const to = roomOf(target);
  if (from === to || FREE.has(from)) return undefined;
  const allowed = NARROW[from] ?? COMMON;
  if (allowed.has(to)) return undefined;
  // Tests may use the memory store and the simulated engine.
  if (where.endsWith(".test.ts") && (to === "store" || to === "engines/simulated")) return undefined;
  return `room ${from} may not import room ${to} (${specifier})`;
}

const offences: Offence[] = [];
for (const file of sources(join(root, "src"))) {
  for (const specifier of importsOf(readFileSync(file, "utf8"))) {
    const text = judge(file, specifier);
    if (text !== undefined) offences.push({ file: relative(root, file), text });
  }
}
for (const offence of offences) console.error(`${offence.file}: ${offence.text}`);
console.log(`layers: ${offences.length === 0 ? "clean" : `${offences.length} offences`}`);
process.exitCode = offences.length === 0 ? 0 : 1;
