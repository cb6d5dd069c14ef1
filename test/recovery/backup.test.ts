import { randomInt } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateLogStreamCommand, FilterLogEventsCommand, GetLogEventsCommand, PutLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeImagesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { DescribeTasksCommand, ECSClient, ListTasksCommand } from "@aws-sdk/client-ecs";
import { CreateAccessKeyCommand, CreateUserCommand } from "@aws-sdk/client-iam";
import { AssumeRoleCommand } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../support/instance.ts";
import { firstProcesses } from "../support/kernel.ts";
import { createStack, ecrLogin, LOG_GROUP, pushTiny, type Stack } from "../support/stack.ts";
import { startWebService, type WebService } from "../support/web-service.ts";

/** A backup of a running instance under writes, and what becomes of it in another folder. */

let folder: string;
let original: TestInstance;
let restored: TestInstance | undefined;
let stack: Stack;
let web: WebService;
let archive: string;
/** What a user would not want to send to anybody. */
const MARKS = { environment: "marked-environment-1f7c", command: "marked-command-90aa", line: "marked-42-line", layer: "marked-layer-77e2" };
/** The sequence numbers of log events that were acknowledged when the backup began. */
let acknowledged = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-backup-"));
  original = await startInstance();
  stack = await createStack(original);
  web = await startWebService(stack, {
    desiredCount: 2,
    environment: { PASSWORD: MARKS.environment },
    // The line is put together only as it is written.
    script: `: ${MARKS.command}; echo "marked-$((40 + 2))-line";`,
  });
});

afterAll(async () => {
  await removeWithoutTrace(restored);
  await original?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** Said, so that no other instance takes it between a restore and its start. */
const port = String(randomInt(20_000, 30_000));
const STREAM = "numbers";
const place = { logGroupName: LOG_GROUP, logStreamName: STREAM };

/** Writes of every kind, without pause: log events in order, images that share no layer, tags that move. */
function writes(): AsyncDisposable & { readonly counts: { events: number; images: number } } {
  const counts = { events: 0, images: 0 };
  const ending = new AbortController();
  const logging = async (): Promise<void> => {
    await stack.logs.send(new CreateLogStreamCommand(place));
    while (!ending.signal.aborted) {
      const logEvents = [{ timestamp: Date.now(), message: `number ${counts.events}` }];
      await stack.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
      counts.events++;
    }
  };
  const pushing = async (): Promise<void> => {
    const login = await ecrLogin(stack.ecr);
    while (!ending.signal.aborted) {
      await pushTiny(`localhost:${original.port}/tiny:moving`, login, { files: { "number.txt": String(counts.images) } });
      counts.images++;
    }
  };
  const all = Promise.all([logging(), pushing()]);
  return {
    counts,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await all;
    },
  };
}

const restoreInto = (dataDir: string, file: string, okCodes: readonly number[] = [0], flags: readonly string[] = []) =>
  run([join(import.meta.dirname, "../../tidegate"), "--data-dir", dataDir, "restore", file, ...flags], { okCodes, timeoutMs: 120_000 });

test("is made while the instance runs and writes go on, and leaves nothing but its file", { timeout: 120_000 }, async () => {
  await using writing = writes();
  await until("both kinds of writes have been made", async () => writing.counts.events > 5 && writing.counts.images > 0);
  acknowledged = writing.counts.events;
  const { stdout } = await original.cli(["backup", folder]);
  const before = writing.counts.events;
  await until("writes go on", async () => writing.counts.events > before);
  const [name = "", ...others] = await readdir(folder);
  expect(others).toEqual([]);
  archive = join(folder, name);
  expect(name).toMatch(new RegExp(`^tidegate-${original.instanceId}-\\d{4}-.*\\.tar$`));
  expect(stdout).toMatch(/: \d+ files, .* MiB, checked\.$/m);
  expect((await stat(archive)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(original.dataDir, "backup-staging"))).toEqual([]);
});

test("a support bundle holds what a fault is found by, and nothing that was planted as a secret", { timeout: 60_000 }, async () => {
  await pushTiny(`localhost:${original.port}/tiny:marked`, await ecrLogin(stack.ecr), { files: { "secret.txt": MARKS.layer } });
  await stack.iam.send(new CreateUserCommand({ UserName: "somebody" }));
  const { AccessKey } = await stack.iam.send(new CreateAccessKeyCommand({ UserName: "somebody" }));
  const { Credentials } = await stack.sts.send(new AssumeRoleCommand({ RoleArn: stack.roleArn, RoleSessionName: "session" }));
  using database = new DatabaseSync(join(original.dataDir, "tidegate.db"), { readOnly: true });
  const stored = database.prepare("SELECT value FROM record WHERE collection = 'registry.secret'").get() as { value: string };
  const secrets = {
    ...MARKS,
    rootKey: original.environment["AWS_SECRET_ACCESS_KEY"],
    userKey: AccessKey?.SecretAccessKey,
    sessionKey: Credentials?.SecretAccessKey,
    sessionToken: Credentials?.SessionToken,
    registrySecret: (JSON.parse(stored.value) as { key: string }).key,
  };
  const written = await until("the marked line is stored", async () => {
    const { events } = await stack.logs.send(new FilterLogEventsCommand({ logGroupName: LOG_GROUP, filterPattern: `"${MARKS.line}"` }));
    return (events ?? []).length > 0 && events;
  });
  expect(written[0]?.message).toBe(MARKS.line);

  const file = join(folder, "support.tar.gz");
  await original.cli(["support-bundle", file]);
  const into = join(folder, "support");
  await mkdir(into);
  await run(["tar", "--extract", "--file", file, "--directory", into, "--strip-components=1"]);
  const paths = (await readdir(into, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const texts = new Map(await Promise.all(paths.map(async (path) => [path.slice(into.length + 1), await readFile(path, "utf8")] as const)));
  const raw = await readFile(file);
  for (const [what, secret = ""] of Object.entries(secrets)) {
    expect(secret.length, what).toBeGreaterThan(8);
    const holders = [...texts].filter(([, text]) => text.includes(secret)).map(([path]) => path);
    expect(holders, what).toEqual([]);
    expect(raw.includes(secret), what).toBe(false);
  }
  const of = (path: string): string => [...texts].find(([each]) => each.startsWith(path))?.[1] ?? "";
  expect(of("versions.txt")).toMatch(/^tidegate \d/);
  expect(JSON.parse(of("status.json"))).toMatchObject({ status: "ok" });
  expect(of("doctor.json")).toContain("containerd");
  expect(of("records/ecs.task-definition.jsonl")).toMatch(/"name":"PASSWORD","value":"\(\d+ characters left out\)"/);
  expect(of("records/ecs.service.jsonl")).toContain("has reached a steady state");
  expect(of("records/iam.access-key.jsonl")).toMatch(/^\(a record that is left out\)/);
  expect(of("logs/tidegate.log")).toContain("tidegate serves");
  expect(of("kernel/vpc-nft.txt")).toContain("table inet tidegate");
  expect(of("kernel/cgroups.txt")).toContain(`tidegate-${original.instanceId}`);
  expect(of(`haproxy/${stack.vpcId}.cfg`)).toContain("frontend");
  expect(of(`haproxy/${stack.vpcId}-stat.csv`)).toContain("BACKEND");
  expect(of("metrics.txt")).toContain("tidegate_workloads");
});

describe("is refused, and nothing is left behind,", () => {
  async function refused(file: string, words: RegExp, dataDir = join(folder, "refused")): Promise<void> {
    const { stderr } = await restoreInto(dataDir, file, [1]);
    expect(stderr).toMatch(words);
    expect(await readdir(dataDir)).not.toContain("restoring");
  }

  async function changed(name: string, change: (path: string) => Promise<unknown>): Promise<string> {
    const path = join(folder, name);
    await copyFile(archive, path);
    await change(path);
    return path;
  }

  test("when it is truncated", { timeout: 60_000 }, async () => {
    const { size } = await stat(archive);
    for (const part of [0.02, 0.5])
      await refused(
        await changed(`truncated-${part}.tar`, (path) => truncate(path, Math.floor(size * part))),
        /truncated or damaged|is no backup|is missing/,
      );
  });

  test("when one byte of an image, or of the database, is another", { timeout: 60_000 }, async () => {
    for (const [member, words] of [
      ["registry/blobs", /registry\/blobs\/.* has the checksum/],
      ["tidegate.db", /tidegate\.db has the checksum/],
    ] as const) {
      const flipped = await changed(`flipped-${member.slice(0, 4)}.tar`, (path) => flipByte(path, member));
      await refused(flipped, words);
    }
  });

  test("when it holds what its manifest does not know, or is no backup at all", { timeout: 60_000 }, async () => {
    await mkdir(join(folder, "extra/logs"), { recursive: true });
    await writeFile(join(folder, "extra/logs/evil"), "x");
    const padded = await changed("padded.tar", (path) =>
      run(["tar", "--append", "--file", path, "--directory", join(folder, "extra"), "./logs/evil"]),
    );
    await refused(padded, /it holds logs\/evil, which its manifest does not know/);
    await writeFile(join(folder, "words.tar"), "no archive");
    await refused(join(folder, "words.tar"), /is no backup of Tidegate/);
  });

  test("when the folder is another's, or an instance that runs", { timeout: 60_000 }, async () => {
    await mkdir(join(folder, "photos"));
    await writeFile(join(folder, "photos/cat"), "x");
    await refused(archive, /holds other things \(cat\)/, join(folder, "photos"));
    await refused(archive, /not taken down: `tidegate .* down --all` ends it/, original.dataDir);
    const { stderr } = await restoreInto(original.dataDir, archive, [1], ["--replace"]);
    expect(stderr).toMatch(/not taken down/);
  });
});

/** Inverts a byte in the middle of the first member whose path starts so. */
async function flipByte(archivePath: string, member: string): Promise<void> {
  const { stdout } = await run(["tar", "--list", "--verbose", "--block-number", "--file", archivePath]);
  const lines = stdout.split("\n").filter((each) => each.includes(` ./${member}`) && / [1-9]\d* \d{4}-/.test(each));
  const [, block = "0", size = "0"] = /^block (\d+): \S+ \S+ +(\d+) /.exec(lines[0] ?? "") ?? [];
  const at = (Number(block) + 1) * 512 + Math.floor(Number(size) / 2);
  const file = await open(archivePath, "r+");
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ 0xff;
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}

test("becomes a new instance beside the original, which it does not touch", { timeout: 120_000 }, async () => {
  const processes = await firstProcesses(original.instanceId, "httpd -f");
  expect(processes).toHaveLength(2);
  const dataDir = join(folder, "restored");
  const { stdout } = await restoreInto(dataDir, archive);
  expect(stdout).toMatch(/It is a new instance, [0-9a-f]{6}, on port \d+ \(\d+ is taken here\)/);
  expect(stdout).toMatch(/2 tasks that ran then will be STOPPED/);
  await restoreInto(dataDir, archive, [0], ["--replace", "--port", port]);
  // The network's block is the original's as long as that is there.
  const up = await run([join(import.meta.dirname, "../../tidegate"), "--data-dir", dataDir, "up", "--detach"], { okCodes: [1], timeoutMs: 120_000 });
  expect(up.stderr).toMatch(new RegExp(`tidegate cannot start: .*${original.vpcCidr.replaceAll(".", "\\.")}`));
  // And it can be taken down, too, without the block.
  await run([join(import.meta.dirname, "../../tidegate"), "--data-dir", dataDir, "down", "--all"], { timeoutMs: 120_000 });
  const { stdout: left } = await run(["pgrep", "--full", `${dataDir}/`], { okCodes: [0, 1] });
  expect(left).toBe("");
  expect(await firstProcesses(original.instanceId, "httpd -f")).toEqual(processes);
  expect((await fetch(web.url)).status).toBe(200);
});

test("brings back images, logs, services and load balancers; tasks of then are STOPPED with a reason", { timeout: 180_000 }, async () => {
  const { taskArns: before = [] } = await stack.ecs.send(new ListTasksCommand({ serviceName: "web" }));
  await original.cli(["down", "--all", "--purge"]);
  restored = await startInstance([], { dataDir: join(folder, "restored") });
  expect(restored.instanceId).not.toBe(original.instanceId);
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "", AWS_REGION: region = "" } = restored.environment;
  expect(accessKeyId).toBe(original.environment["AWS_ACCESS_KEY_ID"]);
  const options = { endpoint: restored.endpoint, region, credentials: { accessKeyId, secretAccessKey } };
  const ecs = new ECSClient(options);

  await until("the service answers under its old name", async () => (await fetch(web.url)).status === 200);
  await until("the service has its tasks", async () => (await firstProcesses(restored?.instanceId ?? "", "httpd -f")).length === 2);
  const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ tasks: before }));
  expect(tasks.map(({ lastStatus, stopCode }) => [lastStatus, stopCode])).toEqual([
    ["STOPPED", "TerminationNotice"],
    ["STOPPED", "TerminationNotice"],
  ]);
  expect(tasks[0]?.stoppedReason).toMatch(/^Tidegate was restored from a backup of \d{4}-.*; the task ran on the host of that time\.$/);
  await until("all is well", async () => (await restored?.cli(["status"], { okCodes: [0, 1] }))?.code === 0);

  const events = await allEvents(restored);
  expect(events.length).toBeGreaterThanOrEqual(acknowledged);
  expect(events).toEqual(events.map((_, index) => `number ${index}`));
  const { imageDetails = [] } = await new ECRClient(options).send(new DescribeImagesCommand({ repositoryName: "tiny" }));
  expect(imageDetails.flatMap(({ imageTags }) => imageTags ?? []).toSorted()).toEqual(["1", "moving"]);
  const login = await ecrLogin(new ECRClient(options));
  await run([
    "skopeo",
    "copy",
    "--quiet",
    "--src-tls-verify=false",
    "--src-creds",
    login,
    `docker://localhost:${restored.port}/tiny:moving`,
    `dir:${join(folder, "pulled")}`,
  ]);
});

async function allEvents(instance: TestInstance): Promise<readonly string[]> {
  const { CloudWatchLogsClient } = await import("@aws-sdk/client-cloudwatch-logs");
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "", AWS_REGION: region = "" } = instance.environment;
  const client = new CloudWatchLogsClient({ endpoint: instance.endpoint, region, credentials: { accessKeyId, secretAccessKey } });
  const events: string[] = [];
  for (let nextToken: string | undefined; ;) {
    const page = await client.send(new GetLogEventsCommand({ ...place, startFromHead: true, nextToken }));
    if ((page.events ?? []).length === 0) return events;
    events.push(...(page.events ?? []).map((event) => event.message ?? ""));
    nextToken = page.nextForwardToken;
  }
}

test("is made of an instance whose control plane is down, too, and takes its place again with --replace", { timeout: 120_000 }, async () => {
  if (restored === undefined) throw new Error("there is no restored instance");
  await restored.kill();
  const file = join(folder, "second.tar");
  await restored.cli(["backup", file]);
  const again = await restored.cli(["backup", file], { okCodes: [1] });
  expect(again.stderr).toMatch(/second\.tar is there already/);
  await restored.cli(["down", "--all"]);
  const refused = await restoreInto(restored.dataDir, file, [1]);
  expect(refused.stderr).toMatch(/holds an instance already: --replace/);
  await restoreInto(restored.dataDir, file, [0], ["--replace"]);
  restored = await startInstance([], { dataDir: restored.dataDir });
  await until("the service answers under its old name", async () => (await fetch(web.url)).status === 200);
});
