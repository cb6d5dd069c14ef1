import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run, type RunResult } from "../../src/host/run.ts";
import { ownHostsLines, tracesOf, type InstanceOnHost } from "../support/host-state.ts";

const ROOT = resolve(import.meta.dirname, "../..");

let dataDir: string;
let hostsBefore: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tidegate-quickstart-"));
  hostsBefore = await ownHostsLines();
});

/** Also when the test has failed half-way; without an instance it does nothing. */
afterAll(async () => {
  await inCheckout("./tidegate", "down", "--all", "--purge").catch(() => undefined);
  await rm(dataDir, { recursive: true, force: true });
});

/** As a user in the checkout, whose only setting is where the data goes. */
function inCheckout(...command: readonly string[]): Promise<RunResult> {
  return run(command, { cwd: ROOT, environment: { TIDEGATE_DATA_DIR: dataDir }, timeoutMs: 400_000 });
}

/** What git sees changed under examples/; other folders may be at work in a checkout that is developed. */
async function changedExamples(): Promise<string> {
  return (await inCheckout("git", "status", "--porcelain", "--untracked-files=all", "--", "examples")).stdout;
}

test("./quickstart leads to a URL that curl reads, served by two tasks; down --all --purge leaves nothing", { timeout: 480_000 }, async () => {
  const examplesBefore = await changedExamples();
  const { stdout } = await inCheckout("./quickstart");
  const host = JSON.parse(await readFile(join(dataDir, "instance.json"), "utf8")) as Omit<InstanceOnHost, "dataDir"> & { readonly port: number };
  const instance: InstanceOnHost = { ...host, dataDir };

  expect(stdout).toContain(`Tidegate serves at http://localhost:${host.port} `);
  const [url = "no URL printed"] = /http:\/\/fastify-api-[0-9a-f]+\.us-east-1\.elb\.tidegate\.internal\S*/.exec(stdout) ?? [];
  const [, listed = ""] = stdout.split("== What runs\n");
  const addresses = new Set(listed.match(/\b\d+\.\d+\.\d+\.\d+\b/g));
  expect(addresses.size, listed).toBe(2);

  const answers = await Promise.all(Array.from({ length: 8 }, () => inCheckout("curl", "--silent", "--show-error", "--fail", url)));
  const bodies = answers.map((answer) => JSON.parse(answer.stdout) as { readonly app: string; readonly ip: string });
  expect(bodies[0]?.app).toBe("fastify-api");
  expect(new Set(bodies.map((body) => body.ip))).toEqual(addresses);
  expect(await changedExamples()).toBe(examplesBefore);

  expect((await tracesOf(instance)).length).toBeGreaterThan(0);
  await inCheckout("./tidegate", "down", "--all", "--purge");
  expect(await tracesOf(instance)).toEqual([]);
  expect(await ownHostsLines()).toBe(hostsBefore);
});

test("./quickstart takes no arguments: --help starts nothing", async () => {
  expect((await inCheckout("./quickstart", "--help")).stderr).toContain("takes no arguments");
  await expect(inCheckout("./quickstart", "--port", "1")).rejects.toThrow(/exit code 2/);
  await expect(readFile(join(dataDir, "instance.json"))).rejects.toThrow(/ENOENT/);
});
