import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { writeTinyImage } from "../support/tiny-image.ts";

/**
 * The README's pipeline by hand, its very lines run by bash with the `aws` command and buildah as they come. Only the port is this
 * instance's, and the image is a tiny one in place of a build.
 */

const README = join(import.meta.dirname, "../../README.md");
const VARIABLES = ["VPC", "SUBNETS", "GROUP", "LB", "TG", "ROLE", "NETWORK"] as const;

interface Task {
  readonly taskArn: string;
  readonly lastStatus: string;
  readonly stoppedReason?: string;
}

let instance: TestInstance;
let folder: string;
/** Of the README's shell, after its setup. */
let variables: Readonly<Record<string, string>>;
let dayTwo: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-aws-cli-"));
  instance = await startInstance();
});

afterAll(async () => {
  await removeWithoutTrace(instance);
  await rm(folder, { recursive: true, force: true });
});

/** The commands of the README's section, one string a code block, each command on one line. */
async function blocks(): Promise<readonly string[]> {
  const text = await readFile(README, "utf8");
  const section = text.slice(text.indexOf("## The same by hand"), text.indexOf("## What it is not"));
  const found = section.match(/(^ {4}.*\n)+/gm) ?? [];
  return found.map((block) =>
    block
      .replaceAll(/^ {4}/gm, "")
      .replaceAll(/ *\\\n */g, " ")
      .replaceAll("localhost:4566", `localhost:${instance.port}`),
  );
}

/** Runs lines in one bash, as a user types them; answers what they printed. */
async function bash(script: string, options: { readonly timeoutMs?: number } = {}): Promise<string> {
  const storage = `--root ${folder}/images --runroot ${folder}/run --storage-driver vfs`;
  const head = [
    "set -euo pipefail",
    `export REGISTRY_AUTH_FILE=${folder}/auth.json AWS_PAGER=`,
    `buildah() { command buildah ${storage} "$@"; }`,
    ...Object.entries(variables ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`),
  ];
  return (await instance.client(["bash", "-c", [...head, script].join("\n")], { timeoutMs: options.timeoutMs ?? 120_000 })).stdout;
}

/** The line of the README's day two that begins so. */
function line(start: string): string {
  const found = dayTwo.find((each) => each.startsWith(start));
  if (found === undefined) throw new Error(`the README has no line "${start}…"`);
  return found;
}

async function tasks(): Promise<readonly Task[]> {
  const { taskArns } = await instance.aws<{ taskArns: readonly string[] }>("ecs", "list-tasks");
  if (taskArns.length === 0) return [];
  return (await instance.aws<{ tasks: readonly Task[] }>("ecs", "describe-tasks", "--tasks", ...taskArns)).tasks;
}

async function dnsName(): Promise<string> {
  const { LoadBalancers } = await instance.aws<{ LoadBalancers: readonly { DNSName: string }[] }>("elbv2", "describe-load-balancers");
  return LoadBalancers[0]?.DNSName ?? "";
}

describe("the README's pipeline", () => {
  test("from a repository to a service that answers behind its load balancer", { timeout: 180_000 }, async () => {
    const archive = join(folder, "shop.tar");
    const serve =
      "ip -4 -o addr show eth0 > /www/index.html; echo served by $(hostname); httpd -p 8080 -h /www; trap 'exit 0' TERM; while :; do sleep 0.2; done";
    await writeTinyImage(archive, { files: { "www/health": "ok\n" }, config: { command: ["sh", "-c", serve], environment: ["PATH=/bin"] } });
    const all = await blocks();
    const end = all.findIndex((block) => block.includes("delete-service"));
    dayTwo = (all[end] ?? "").split("\n").map((each) => each.replace(/ +#.*/, "").trim());
    const here = (block: string): string =>
      block
        .split("\n")
        .filter((each) => !/^\.\/tidegate |^eval /.test(each))
        .join("\n")
        .replaceAll(/^buildah build .*--tag (\S+) .*$/gm, `buildah tag "$(buildah pull --quiet oci-archive:${archive})" $1`);
    const script = all.slice(0, end).map(here).join("\n");
    const print = VARIABLES.map((name) => `printf '${name}=%s\\n' "$(echo $${name})"`).join("\n");
    const printed = await bash(`{\n${script}\n} >${folder}/said\n${print}`, { timeoutMs: 170_000 });
    variables = Object.fromEntries(
      printed
        .trim()
        .split("\n")
        .map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]),
    );
    expect(Object.keys(variables)).toEqual([...VARIABLES]);
    // The last line is `curl http://…/`.
    expect(await readFile(join(folder, "said"), "utf8")).toMatch(/inet \d+\.\d+\.\d+\.\d+\/\d+.*\n$/);
  });

  test("both tasks answer, each with an address of its own", async () => {
    const url = `http://${await dnsName()}/`;
    const seen = new Set<string>();
    await until("two tasks have answered", async () => seen.add((await instance.client(["curl", "--silent", "--fail", url])).stdout).size === 2);
  });

  test("update-service --desired-count 3", { timeout: 90_000 }, async () => {
    await bash(line("aws ecs update-service"));
    await bash("aws ecs wait services-stable --services shop");
    expect((await tasks()).filter((task) => task.lastStatus === "RUNNING")).toHaveLength(3);
  });

  test("run-task, stop-task, wait tasks-stopped", { timeout: 90_000 }, async () => {
    const before = new Set((await tasks()).map((task) => task.taskArn));
    await bash(line("aws ecs run-task"));
    const started = (await tasks()).find((task) => !before.has(task.taskArn))?.taskArn ?? "";
    const id = started.slice(started.lastIndexOf("/") + 1);
    await bash(`aws ecs wait tasks-running --tasks ${id}`);
    await bash(line("aws ecs stop-task").replaceAll("<id>", id));
    const { tasks: ended } = await instance.aws<{ tasks: readonly Task[] }>("ecs", "describe-tasks", "--tasks", id);
    expect(ended[0]).toMatchObject({ lastStatus: "STOPPED", stopCode: "UserInitiated" });
  });

  test("the lines of all tasks are in the group, each stream named prefix/container/task", async () => {
    const { events } = await instance.aws<{ events: readonly { message: string; logStreamName: string }[] }>(
      ..."logs filter-log-events --log-group-name /shop --filter-pattern served".split(" "),
    );
    expect(events).toHaveLength(4);
    for (const event of events) {
      expect(event.message).toMatch(/^served by ip-/);
      expect(event.logStreamName).toMatch(/^ecs\/shop\/[0-9a-f]{32}$/);
    }
    const { events: own } = await instance.aws<{ events: readonly { message: string }[] }>(
      ...`logs get-log-events --log-group-name /shop --log-stream-name ${events[0]?.logStreamName} --start-from-head`.split(" "),
    );
    expect(own.map((event) => event.message)).toEqual([events[0]?.message]);
  });

  test("delete-service --force, and all that was made goes", { timeout: 150_000 }, async () => {
    await bash(line("aws ecs delete-service"));
    await bash("aws ecs wait services-inactive --services shop");
    await until("its tasks have ended", async () => (await tasks()).length === 0);
    await bash(
      [
        "aws elbv2 delete-load-balancer --load-balancer-arn $LB",
        "aws elbv2 wait load-balancers-deleted --load-balancer-arns $LB",
        "aws elbv2 delete-target-group --target-group-arn $TG",
        "aws ecs deregister-task-definition --task-definition shop:1",
        "aws ecs delete-cluster --cluster default",
        "aws logs delete-log-group --log-group-name /shop",
        "aws iam detach-role-policy --role-name ecsTaskExecutionRole --policy-arn arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
        "aws iam delete-role --role-name ecsTaskExecutionRole",
        "aws ecr delete-repository --repository-name shop --force",
      ].join("\n"),
    );
    await until("the group is free", async () => bash("aws ec2 delete-security-group --group-id $GROUP && echo gone"));
    const left = await Promise.all([
      instance.aws("elbv2", "describe-load-balancers"),
      instance.aws("elbv2", "describe-target-groups"),
      instance.aws("logs", "describe-log-groups"),
      instance.aws("iam", "list-roles"),
      instance.aws("ecr", "describe-repositories"),
    ]);
    expect(left).toMatchObject([{ LoadBalancers: [] }, { TargetGroups: [] }, { logGroups: [] }, { Roles: [] }, { repositories: [] }]);
  });
});
