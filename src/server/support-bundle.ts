import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../core/clock.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { run } from "../host/run.ts";
import { copyDatabase } from "../store/sqlite/copy-database.ts";
import { findInstance } from "./instance.ts";
import { hostParts, recordParts } from "./support/collect.ts";
import { scrubber } from "./support/redact.ts";

/** `tidegate support-bundle`: what somebody needs who looks for a fault from afar, without secrets. Works also while the server is down. */
async function bundle({ dataDir, target }: { readonly dataDir: string; readonly target: string }): Promise<void> {
  const found = await findInstance(dataDir);
  if (found === undefined) throw new Problem("not-found", `there is no Tidegate under ${dataDir}`);
  const { instanceId, port, earlierPorts, account, region, vpcCidr, runDir, engine, format, tidegateVersion } = found;
  const instance = { instanceId, port, earlierPorts, account, region, vpcCidr, runDir, engine, format, tidegateVersion };
  const time = new Date(systemClock.nowMs())
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-");
  const name = `tidegate-support-${instanceId}-${time}`;
  const isFolder = (await stat(target).catch(() => undefined))?.isDirectory() === true;
  const file = isFolder ? join(target, `${name}.tar.gz`) : target;
  const work = await mkdtemp(join(tmpdir(), "tidegate-support-"));
  try {
    const databaseCopy = join(work, "copy.db");
    await copyDatabase(join(dataDir, "tidegate.db"), databaseCopy);
    const source = { instance, dataDir, databaseCopy };
    const { parts, hidden } = recordParts(source);
    const keys = await readFile(join(dataDir, "credentials.json"), "utf8").catch(() => "{}");
    const scrub = scrubber([...hidden, ...Object.values(JSON.parse(keys) as Record<string, string>)]);
    for (const { path, text } of [...parts, ...(await hostParts(source))]) {
      const full = join(work, name, path);
      await mkdir(dirname(full), { recursive: true });
      await writeFile(full, scrub(text));
    }
    await run(["tar", "--create", "--gzip", "--file", `${file}.part`, "--directory", work, name], { timeoutMs: 300_000 });
    await chmod(`${file}.part`, 0o600);
    await rename(`${file}.part`, file);
  } finally {
    await rm(`${file}.part`, { force: true });
    await rm(work, { recursive: true, force: true });
  }
  process.stdout.write(
    `${file}\nIt holds no keys, tokens, values of environment variables, commands or lines that containers wrote. Look into it before you send it.\n`,
  );
}

const { values } = parseArgs({ options: { "data-dir": { type: "string", default: "/var/lib/tidegate" }, to: { type: "string", default: "." } } });
bundle({ dataDir: resolve(values["data-dir"]), target: resolve(values.to) }).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`tidegate: no support bundle was made: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
