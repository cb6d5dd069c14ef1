import { CreateLogStreamCommand, GetLogEventsCommand, PutLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { BatchDeleteImageCommand, CreateRepositoryCommand, DescribeImagesCommand } from "@aws-sdk/client-ecr";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/instance.ts";
import { ecrLogin, LOG_GROUP, taskIdOf } from "../support/stack.ts";
import { untilStateAgrees } from "../support/state/instance-state.ts";
import { randomOf } from "./matrix.ts";
import type { Alteration } from "./support/altered-source.ts";
import { createBench, killIn, type Bench } from "./support/bench.ts";
import { registryClient, type RegistryClient } from "./support/registry-client.ts";
import { transients, type Transient } from "./support/transient.ts";

/** SIGKILL of the control plane while images, logs and resources of every kind are written and deleted. */

const PHASE_TIMEOUT_MS = 30 * 60_000;

/** The registry's daily collection, three times a second, with a grace that a push of this test fits into. */
const EAGER_COLLECTION: readonly Alteration[] = [
  { file: "registry/registry.ts", from: "const DAY_MS = 24 * 60 * 60 * 1000;", to: "const DAY_MS = 300;" },
  { file: "registry/registry.ts", from: "config.garbageGraceMinutes ?? 60)", to: "config.garbageGraceMinutes ?? 0.1)" },
];

let bench: Bench;
let registry: RegistryClient;

beforeAll(async () => {
  bench = await createBench();
  registry = registryClient(`http://127.0.0.1:${bench.instance.port}`, await ecrLogin(bench.stack.ecr));
  for (const repositoryName of ["pushed", "collected"]) await bench.stack.ecr.send(new CreateRepositoryCommand({ repositoryName }));
});

afterAll(() => bench?.[Symbol.asyncDispose]());

/** Pushes one after another until a call fails, as all do at the kill. */
async function pushOn(repository: string, tags: string, entered: (tag: string, digest: string) => void): Promise<void> {
  const { ledger } = bench;
  for (let number = 0; number < 40; number++) {
    const tag = `${tags}-${number}`;
    const blobs: string[] = [];
    const digest = await registry.pushImage(repository, tag, (blob) => blobs.push(blob)).catch(() => undefined);
    if (repository === "pushed") {
      for (const blob of blobs)
        await ledger.acknowledged(
          `blob ${blob}`,
          async () => blob,
          () => registry.hasBlob(repository, blob),
        );
    }
    if (digest === undefined) return;
    entered(tag, digest);
  }
}

function holdImage(repository: string, tag: string, digest: string): Promise<unknown> {
  const holds = async (): Promise<boolean> => (await registry.verifyImage(repository, tag)).digest === digest;
  return bench.ledger.acknowledged(`image ${tag}`, async () => digest, holds);
}

async function linesOf(stream: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for (let token: string | undefined; ;) {
    const place = { logGroupName: LOG_GROUP, logStreamName: stream, startFromHead: true };
    const { events = [], nextForwardToken } = await bench.stack.logs.send(new GetLogEventsCommand({ ...place, ...(token && { nextToken: token }) }));
    if (events.length === 0) return lines;
    lines.push(...events.map(({ message = "" }) => message));
    token = nextForwardToken;
  }
}

describe("SIGKILL of the control plane under load", () => {
  test("in pushes: what was acknowledged is there whole", { timeout: PHASE_TIMEOUT_MS }, async () => {
    await killIn(bench, {
      name: "push",
      windowMs: 900,
      begin: (round) =>
        Promise.all([1, 2].map((pusher) => pushOn("pushed", `r${round}-${pusher}`, (tag, digest) => void holdImage("pushed", tag, digest)))),
      // A client whose push was cut off pushes again.
      settle: (round) => registry.pushImage("pushed", `again-${round}`),
    });
    bench.ledger.clear();
  });

  test("in the registry's garbage collection, beside pushes and deletions", { timeout: PHASE_TIMEOUT_MS }, async () => {
    const { ecr } = bench.stack;
    const there = new Map<string, string>();
    const deleteSome = async (): Promise<void> => {
      for (const [tag, digest] of Array.from(there).slice(0, 6)) {
        there.delete(tag);
        const request = new BatchDeleteImageCommand({ repositoryName: "collected", imageIds: [{ imageDigest: digest }] });
        await bench.ledger.acknowledged(
          `deletion of ${tag}`,
          () => ecr.send(request),
          async () => !(await imagesOf("collected")).includes(digest),
        );
      }
    };
    const imagesOf = async (repositoryName: string): Promise<readonly string[]> =>
      ((await ecr.send(new DescribeImagesCommand({ repositoryName, maxResults: 1000 }))).imageDetails ?? []).map(
        ({ imageDigest = "" }) => imageDigest,
      );
    const entered = (tag: string, digest: string): void => void there.set(tag, digest);
    await bench.plane.kill();
    bench.plane.spawn(EAGER_COLLECTION);
    await bench.plane.serving();
    await killIn(
      { ...bench, plane: { ...bench.plane, spawn: () => bench.plane.spawn(EAGER_COLLECTION) } },
      {
        name: "garbage collection",
        windowMs: 1_200,
        begin: (round) => Promise.all([pushOn("collected", `r${round}`, entered), deleteSome()]),
        async settle() {
          for (const [tag, digest] of there) expect((await registry.verifyImage("collected", tag)).digest).toBe(digest);
        },
      },
    );
    // The grace passes: no blob without an image is left, whatever the kills cut off.
    await untilStateAgrees(bench.instance, { blobs: true });
    bench.ledger.clear();
    await bench.plane.kill();
    bench.plane.spawn();
    await bench.plane.serving();
  });

  test("as resources of every kind are made, and as they are deleted", { timeout: PHASE_TIMEOUT_MS }, async () => {
    const random = randomOf("blocks");
    const [second, third] = [random.between(180, 250), random.between(0, 150)];
    let made: readonly Transient[] = [];
    const inOrder = async (resources: readonly Transient[], each: (resource: Transient) => Promise<unknown>): Promise<void> => {
      for (const resource of resources) await each(resource);
    };
    const isThere = (resource: Transient): Promise<boolean> => resource.there().catch((error: Error) => notFound(error));
    await killIn(
      bench,
      {
        name: "make, delete",
        windowMs: 1_500,
        async begin(round) {
          if (round % 2 === 1) {
            made = transients(bench.stack, `t${round}`, `10.${second}.${third + round}.0/24`);
            return inOrder(made, (resource) =>
              bench.ledger.acknowledged(
                `making of ${resource.what}`,
                () => resource.make(),
                () => resource.there(),
              ),
            );
          }
          bench.ledger.clear();
          return inOrder(made.toReversed(), (resource) =>
            bench.ledger.acknowledged(
              `deletion of ${resource.what}`,
              () => resource.delete(),
              async () => !(await isThere(resource)),
            ),
          );
        },
        async settle(round) {
          if (round % 2 === 1) {
            for (const resource of made) {
              if (!(await isThere(resource))) await until(`${resource.what} can be made`, () => resource.make().then(() => true));
            }
          } else {
            for (const resource of made.toReversed()) {
              await until(`${resource.what} can be deleted`, async () => {
                if (!(await isThere(resource))) return true;
                await resource.delete();
                return !(await isThere(resource));
              });
            }
          }
        },
      },
      { part: 4, whole: 100 },
    );
    bench.ledger.clear();
  });

  test("in a log flood: each line once, in order, and each acknowledged event", { timeout: PHASE_TIMEOUT_MS }, async () => {
    const { stack, ledger } = bench;
    const LINES = 20_000;
    const taskDefinition = await stack.define("flood", [{ name: "app", command: ["sh", "-c", `sleep 0.3; seq 1 ${LINES}; sleep 1`] }]);
    await stack.logs.send(new CreateLogStreamCommand({ logGroupName: LOG_GROUP, logStreamName: "put" }));
    let taskArn: string | undefined;
    const put = async (round: number): Promise<void> => {
      for (let number = 0; number < 100; number++) {
        const message = `put-${round}-${number}`;
        const logEvents = [{ timestamp: Date.now(), message }];
        const request = new PutLogEventsCommand({ logGroupName: LOG_GROUP, logStreamName: "put", logEvents });
        const holds = async (): Promise<boolean> => (await linesOf("put")).filter((line) => line === message).length === 1;
        if ((await ledger.acknowledged(message, () => stack.logs.send(request), holds)) === undefined) return;
      }
    };
    await killIn(bench, {
      name: "log flood",
      windowMs: 1_500,
      async begin(round) {
        taskArn = await stack.start(taskDefinition);
        await put(round);
      },
      async settle() {
        if (taskArn === undefined) return;
        await stack.reach(taskArn, "STOPPED");
        const lines = await linesOf(`test/app/${taskIdOf(taskArn)}`);
        expect(disorder(lines, LINES)).toBe("none");
        expect(await ledger.lost()).toEqual([]);
        ledger.clear();
        taskArn = undefined;
      },
    });
  });
});

/** False for "there is no such thing", which each service says in words of its own. */
function notFound(error: Error): false {
  if (/not ?(be )?found|does not exist|NoSuchEntity|Unable to describe|MISSING/i.test(`${error.name} ${error.message}`)) return false;
  throw error;
}

/** Where numbered lines are not each once and in order, in words. */
function disorder(lines: readonly string[], count: number): string {
  const at = lines.findIndex((line, index) => line !== String(index + 1));
  if (at >= 0) return `after line ${at} comes ${lines.slice(at, at + 3).join(", ")}; ${lines.length} lines in all`;
  return lines.length === count ? "none" : `${lines.length} lines`;
}
