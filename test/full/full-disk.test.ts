/** A whole instance on a small disk that others fill. What is read: statfs, processes with their start times, the words that users get. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AuthorizeSecurityGroupIngressCommand } from "@aws-sdk/client-ec2";
import { CreateClusterCommand, DeleteClusterCommand, DescribeServicesCommand, UpdateServiceCommand } from "@aws-sdk/client-ecs";
import { CreateListenerCommand, DescribeLoadBalancersCommand, DescribeTargetGroupsCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateRepositoryCommand } from "@aws-sdk/client-ecr";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { theProcess } from "../support/kernel.ts";
import { startWebService } from "../support/web-service.ts";
import { smallDisk, type SmallDisk } from "../support/small-disk.ts";
import { createStack, ecrLogin, pushTiny, type Stack } from "../support/stack.ts";

vi.setConfig({ testTimeout: 180_000 });

const MIB = 1024 * 1024;
const LAYER_MIB = 40;

let disk: SmallDisk;
let instance: TestInstance;
let stack: Stack;
/** A task that runs through it all, and says a number every so often. */
let bystander: string;
let bystanderStart: string;

beforeAll(async () => {
  disk = await smallDisk(1200);
  instance = await startInstance([], { dataDir: disk.folder });
  stack = await createStack(instance);
  const script = "i=0; while :; do i=$((i+1)); echo number $i; sleep 0.2; done";
  bystander = await stack.start(await stack.define("bystander", [{ name: "bystander", command: ["sh", "-c", script] }]));
  await stack.reach(bystander, "RUNNING");
  bystanderStart = (await theProcess(instance.instanceId, "echo number")).startTicks;
  await stack.ecr.send(new CreateRepositoryCommand({ repositoryName: "big" }));
});

afterAll(async () => {
  try {
    await disk.release();
    await instance.remove();
  } finally {
    await disk[Symbol.asyncDispose]();
  }
});

/** An image of one layer that does not compress below half. */
async function pushBig(tag: string): Promise<string> {
  const files = { "big.txt": randomBytes((LAYER_MIB * MIB) / 2).toString("hex") };
  await pushTiny(`localhost:${instance.port}/big:${tag}`, await ecrLogin(stack.ecr), { files });
  return `localhost:${instance.port}/big:${tag}`;
}

const defineBig = (family: string, image: string): Promise<string> =>
  stack.define(family, [{ name: "app", image, command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"] }]);

const stopped = (taskArn: string) =>
  until("the task has stopped", async () => {
    const task = await stack.task(taskArn);
    return task.lastStatus === "STOPPED" && task;
  });

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "tg-full-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const createCluster = (clusterName: string) => stack.ecs.send(new CreateClusterCommand({ clusterName }));

async function bystanderRunsOn(): Promise<void> {
  expect((await theProcess(instance.instanceId, "echo number")).startTicks).toBe(bystanderStart);
  expect((await stack.task(bystander)).lastStatus).toBe("RUNNING");
}

test("a pull that would fill the disk is broken off in words, its space comes back, and it works once there is room", async () => {
  const definition = await defineBig("pulled", await pushBig("1"));
  await disk.fill(78 * MIB);
  const before = await disk.freeBytes();
  const task = await stopped(await stack.start(definition));
  expect(task.stopCode).toBe("TaskFailedToStart");
  expect(task.stoppedReason).toMatch(/^CannotPullContainerError: .*the disk that holds .* free, and 64.0 MiB are kept back\. Free some space/s);
  await until("what was pulled is gone again", async () => (await disk.freeBytes()) > before - 8 * MIB);
  await bystanderRunsOn();
  await disk.release();
  await stack.reach(await stack.start(definition), "RUNNING");
});

test("below the reserve pushes and pulls are refused and status says so, but what is there runs", async () => {
  const unpulled = await defineBig("unpulled", await pushBig("2"));
  const present = await defineBig("present", stack.image);
  await disk.fill(40 * MIB);
  await expect(pushBig("3")).rejects.toThrow(/the upload to big was refused: the disk that holds .* MiB of .* free/s);
  const task = await stopped(await stack.start(unpulled));
  expect(task.stoppedReason).toMatch(/^CannotPullContainerError: .*the disk that holds/s);
  await stack.reach(await stack.start(present), "RUNNING");
  const status = await instance.cli(["status"], { okCodes: [1] });
  expect(status.stdout).toMatch(/BAD +disk +pushes, pulls and builds are refused: the disk that holds .* MiB of 1\.1 GiB free/);
  expect(status.stdout).toContain("tidegate images prune");
  await disk.release();
  await pushBig("3");
  expect((await instance.cli(["status"])).stdout).toMatch(/ok +disk +\d/);
});

async function killHaproxy(): Promise<void> {
  const folder = join(instance.runDir, "daemons");
  const [file = ""] = (await readdir(folder)).filter((name) => name.startsWith("haproxy-"));
  const { pid } = JSON.parse(await readFile(join(folder, file), "utf8")) as { readonly pid: number };
  process.kill(pid, "SIGKILL");
}

async function addListener(port: number): Promise<void> {
  const { LoadBalancers } = await stack.elb.send(new DescribeLoadBalancersCommand({ Names: ["web"] }));
  const { TargetGroups } = await stack.elb.send(new DescribeTargetGroupsCommand({ Names: ["web"] }));
  const group = LoadBalancers?.[0]?.SecurityGroups?.[0];
  await stack.ec2.send(
    new AuthorizeSecurityGroupIngressCommand({ GroupId: group, IpProtocol: "tcp", FromPort: port, ToPort: port, CidrIp: "0.0.0.0/0" }),
  );
  await stack.elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: LoadBalancers?.[0]?.LoadBalancerArn,
      Protocol: "HTTP",
      Port: port,
      DefaultActions: [{ Type: "forward", TargetGroupArn: TargetGroups?.[0]?.TargetGroupArn }],
    }),
  );
}

test("a disk without a free block: writes say so and reads go on, through a kill of the control plane too; then all goes on by itself", async () => {
  const { url, dnsName } = await startWebService(stack, { desiredCount: 1 });
  const answers = async (at = url): Promise<boolean> => (await fetch(at, { headers: { connection: "close" } })).status === 200;
  const settled = (count: number) =>
    until(`${count} run`, async () => {
      const { services } = await stack.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
      return services?.[0]?.runningCount === count && services[0].pendingCount === 0;
    });
  await settled(1);
  await disk.fill();
  const full = {
    name: "ServiceUnavailable",
    message: expect.stringMatching(/the disk that holds .*tidegate\.db is full; nothing of it was written/),
  };
  // The log that is there may have room for some writes more.
  const refused = await until("a write is refused", async () => {
    for (let index = 0; ; index++) {
      try {
        await createCluster(`c${index}-${"x".repeat(200)}`);
      } catch (error) {
        return error as Error;
      }
    }
  });
  expect(refused).toMatchObject(full);
  await bystanderRunsOn();
  await killHaproxy();
  await until("HAProxy is back, on what its files say", () => answers());
  await instance.kill();
  const started = await instance.cli(["up", "--detach"], { okCodes: [0, 1] });
  expect(await answers()).toBe(true);
  if (started.code === 0) {
    await bystanderRunsOn();
    await expect(createCluster("again")).rejects.toMatchObject(full);
    expect((await instance.cli(["status"], { okCodes: [1] })).stdout).toMatch(/BAD +disk/);
  } else expect(started.stdout + started.stderr).toMatch(/disk.*full|no space left/i);
  console.log(`a start on a full disk: exit code ${started.code}`);

  await disk.release();
  if (started.code !== 0) await instance.up();
  await createCluster("again");
  await stack.ecs.send(new DeleteClusterCommand({ cluster: "again" }));
  await stack.ecs.send(new UpdateServiceCommand({ service: "web", desiredCount: 2 }));
  await settled(2);
  await addListener(81);
  await until("another listener answers", () => answers(`http://${dnsName}:81/`));
  await bystanderRunsOn();
  // The disk may have taken the beginning of a line; then the next one follows right behind it.
  const numbersOf = async (): Promise<readonly number[]> =>
    (await stack.lines(bystander, "bystander")).map((line) => Number(/number (\d+)$/.exec(line)?.[1]));
  const last = (await numbersOf()).at(-1) ?? 0;
  await until("its lines come again", async () => ((await numbersOf()).at(-1) ?? 0) > last + 5);
  const numbers = await numbersOf();
  expect(numbers).not.toContain(Number.NaN);
  expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
  // What was stored while there was no room, and after it, is there for good.
  await instance.kill();
  await instance.up();
  expect((await numbersOf()).slice(0, numbers.length)).toEqual(numbers);
  await until("all is well", async () => (await instance.cli(["status"], { okCodes: [0, 1] })).code === 0);
  using database = new DatabaseSync(join(disk.folder, "tidegate.db"), { readOnly: true });
  expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
});

test("a build and a base image that the disk has no room for fail in words, and leave nothing; the same build works once there is room", async () => {
  await using work = await temporaryFolder();
  await writeFile(join(work.path, "Dockerfile"), `FROM ${stack.image}\nRUN dd if=/dev/zero of=/big bs=1M count=60\nCMD ["sleep", "1000000"]\n`);
  const deploy = ["deploy", work.path, "--name", "filler", "--builder", "buildah", "--cpu", "256", "--memory", "512", "--count", "1"];
  // Enough for the base image, not for what is made on it.
  await disk.fill(40 * MIB);
  const builds = (): Promise<readonly string[]> => readdir(join(disk.folder, "builder")).catch(() => []);
  const failed = await instance.cli(deploy, { okCodes: [1], timeoutMs: 120_000 });
  const words = `the image cannot be built, and nothing that runs was changed: the disk that holds ${disk.folder}/builder is full. Free some space`;
  expect(failed.stdout + failed.stderr).toContain(words);
  await until("what was built is gone again", async () => (await disk.freeBytes()) > 35 * MIB);
  expect((await builds()).filter((name) => name.startsWith("build-"))).toEqual([]);

  const unseeded = await instance.cli(["images", "seed", "node"], { okCodes: [1], timeoutMs: 120_000 });
  expect(unseeded.stdout + unseeded.stderr).toMatch(
    /the base image cannot be made: the disk that holds \S+\/builder has \d\S* MiB free, and it takes 512 MiB for a while\. Free some space/,
  );
  expect((await builds()).filter((name) => name.startsWith("seed-"))).toEqual([]);
  await bystanderRunsOn();

  await disk.release();
  await instance.cli(deploy, { timeoutMs: 120_000 });
  const { services } = await stack.ecs.send(new DescribeServicesCommand({ services: ["filler"] }));
  expect(services?.[0]).toMatchObject({ runningCount: 1 });
  await instance.aws("ecs", "update-service", "--service", "filler", "--desired-count", "0");
  await bystanderRunsOn();
});

test("images that nothing uses go, by themselves when room is short and by hand; the bytes come back, and what is in use stays", async () => {
  const once = async (tag: string): Promise<string> => {
    const definition = await defineBig(`once-${tag}`, await pushBig(tag));
    const task = await stack.start(definition);
    await stack.reach(task, "RUNNING");
    await instance.aws("ecs", "stop-task", "--task", task);
    await stopped(task);
    return definition;
  };
  await once("4");
  const before = await disk.freeBytes();
  const pruned = await instance.cli(["images", "prune"]);
  expect(pruned.stdout).toMatch(/unpacked localhost:\d+\/big.*; the registry keeps it/);
  const freed = (await disk.freeBytes()) - before;
  console.log(`images prune: ${(freed / MIB).toFixed(0)} MiB; it says: ${pruned.stdout.trim().split("\n").at(-1)}`);
  // As it came, halved by compression, and unpacked.
  expect(freed).toBeGreaterThan(1.3 * LAYER_MIB * MIB);
  await bystanderRunsOn();

  const again = await once("5");
  await disk.fill(50 * MIB);
  // Less than the reserve is free: the pull finds that room first, of what nothing uses.
  const small = `localhost:${instance.port}/tiny:other`;
  await disk.fill(50 * MIB);
  const free = await disk.freeBytes();
  await pushTiny(small, await ecrLogin(stack.ecr), { files: { "other.txt": "other" } });
  expect((await disk.freeBytes()) - free).toBeGreaterThan(1.3 * LAYER_MIB * MIB);
  await disk.release();
  await stack.reach(await stack.start(again), "RUNNING");
  await bystanderRunsOn();
});
