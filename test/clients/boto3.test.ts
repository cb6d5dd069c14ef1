import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, type TestInstance } from "../support/instance.ts";
import { createStack, type Stack } from "../support/stack.ts";

/** What `boto3_waiters.py` prints. */
interface Found {
  readonly healthy: readonly string[];
  readonly pages: readonly number[];
  readonly listed: boolean;
  readonly reasons: readonly string[];
  readonly started: boolean;
  readonly events: readonly string[];
  readonly refusals: Readonly<Record<string, readonly [string, string] | null>>;
  readonly account: string;
}

let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
});

afterAll(() => removeWithoutTrace(instance));

test("boto3: waiters, paginators and exceptions, from a service behind a load balancer to its end", { timeout: 150_000 }, async () => {
  const parts = [`TEST_IMAGE=${stack.image}`, `TEST_ROLE=${stack.roleArn}`];
  const { stdout } = await instance.client(["env", ...parts, "python3", join(import.meta.dirname, "boto3_waiters.py")], { timeoutMs: 140_000 });
  const found = JSON.parse(stdout) as Found;
  expect(found).toMatchObject({
    healthy: ["healthy", "healthy"],
    pages: [2, 1],
    listed: true,
    reasons: ["boto is done", "boto is done", "boto is done"],
    started: true,
    events: Array.from({ length: 25 }, (_, index) => `event ${index}`),
    account: "100000000000",
  });
  // The name of the exception's class, then AWS's code in it.
  expect(found.refusals).toEqual({
    cluster: ["ClusterNotFoundException", "ClusterNotFoundException"],
    service: ["ServiceNotFoundException", "ServiceNotFoundException"],
    definition: ["ClientException", "ClientException"],
    size: ["ClientException", "ClientException"],
    repository: ["RepositoryNotFoundException", "RepositoryNotFoundException"],
    group: ["ClientError", "InvalidGroup.NotFound"],
    balancer: ["LoadBalancerNotFoundException", "LoadBalancerNotFound"],
    logGroup: ["ResourceNotFoundException", "ResourceNotFoundException"],
    role: ["NoSuchEntityException", "NoSuchEntity"],
    inUse: ["ResourceInUseException", "ResourceInUse"],
    signature: ["ClientError", "SignatureDoesNotMatch"],
    key: ["ClientError", "InvalidClientTokenId"],
  });
});
