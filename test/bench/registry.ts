/**
 * Push and pull of a 200 MB image of several layers with skopeo: this registry beside Debian's docker-registry, on loopback, in the same
 * run, taking turns at going first. `node test/bench/registry.ts [rounds]`. Prints medians and how many times as fast this one is.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { run } from "../../src/host/run.ts";
import { startRegistryProcess } from "../registry/process.ts";
import { writeLayout } from "../registry/layout.ts";
import { freePort } from "../support/free-port.ts";

const MIB = 1024 * 1024;
const LAYERS_BYTES = [80, 50, 30, 25, 15].map((size) => size * MIB);
const rounds = Number(process.argv[2] ?? 5);

interface Contender {
  readonly name: string;
  readonly host: string;
  readonly credentials: string;
}

const work = await mkdtemp(join(tmpdir(), "tidegate-bench-registry-"));
const names = Array.from({ length: rounds }, (_, round) => `round${round}`);
await using ours = await startRegistryProcess(join(work, "ours"), names);
await using theirs = await startDockerRegistry(join(work, "theirs"));
const contenders: readonly [Contender, Contender] = [
  { name: "tidegate", host: `127.0.0.1:${ours.port}`, credentials: `AWS:${ours.password}` },
  { name: "docker-registry", host: `127.0.0.1:${theirs.port}`, credentials: "any:any" },
];

const pushSeconds = new Map<string, number[]>();
const pullSeconds = new Map<string, number[]>();
try {
  for (const [round, name] of names.entries()) {
    const layout = join(work, "layout");
    await writeLayout(layout, LAYERS_BYTES);
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) add(pushSeconds, contender, await push(contender, layout, name));
    for (const contender of order) add(pullSeconds, contender, await pull(contender, name));
    await rm(layout, { recursive: true });
  }
  report("push", pushSeconds);
  report("pull", pullSeconds);
  console.log(`peak memory of tidegate's registry: ${ours.peakMemoryMiB().toFixed(0)} MiB`);
} finally {
  await ours.kill();
  await theirs[Symbol.asyncDispose]();
  await rm(work, { recursive: true, force: true });
}

function push(to: Contender, layout: string, name: string): Promise<number> {
  return timed(["skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", to.credentials, `oci:${layout}:v1`, `docker://${to.host}/${name}:v1`]);
}

async function pull(from: Contender, name: string): Promise<number> {
  const target = join(work, "pulled");
  const seconds = await timed([
    "skopeo",
    "copy",
    "--src-tls-verify=false",
    "--src-creds",
    from.credentials,
    `docker://${from.host}/${name}:v1`,
    `dir:${target}`,
  ]);
  await rm(target, { recursive: true });
  return seconds;
}

async function timed(command: readonly string[]): Promise<number> {
  const start = performance.now();
  await run(command, { timeoutMs: 300_000 });
  return (performance.now() - start) / 1000;
}

function add(to: Map<string, number[]>, contender: Contender, seconds: number): void {
  to.set(contender.name, [...(to.get(contender.name) ?? []), seconds]);
}

function report(what: string, seconds: ReadonlyMap<string, readonly number[]>): void {
  const median = (name: string): number => (seconds.get(name) ?? []).toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
  const [mine, other] = contenders;
  const megabytes = LAYERS_BYTES.reduce((sum, size) => sum + size, 0) / 1e6;
  for (const { name } of contenders) {
    console.log(`${what} ${name.padEnd(16)} median ${median(name).toFixed(3)} s  ${(megabytes / median(name)).toFixed(0)} MB/s`);
  }
  console.log(`${what}: ${(median(other.name) / median(mine.name)).toFixed(2)} times as fast as ${other.name}`);
}

async function startDockerRegistry(folder: string): Promise<AsyncDisposable & { readonly port: number }> {
  const port = await freePort();
  const configuration = `${folder}.yml`;
  const document = {
    version: 0.1,
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: folder } },
    http: { addr: `127.0.0.1:${port}` },
  };
  await writeFile(configuration, JSON.stringify(document));
  const child = spawn("docker-registry", ["serve", configuration], { stdio: "ignore" });
  const ended = once(child, "exit");
  while (
    !(await fetch(`http://127.0.0.1:${port}/v2/`).then(
      (response) => response.ok,
      () => false,
    ))
  ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
