import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../src/host/run.ts";
import { removeWithoutTrace } from "../../support/host-state.ts";
import { startInstance, type TestInstance, until } from "../../support/instance.ts";
import { createStack, type Stack } from "../../support/stack.ts";

/** An instance of a test's own with a cluster named `shop`, which is ACTIVE, and kubectl for it. */
export interface Shop {
  readonly instance: TestInstance;
  readonly stack: Stack;
  readonly kubectl: (...args: readonly string[]) => Promise<string>;
  /** What `kubectl get … --output json` answers. */
  get<T>(...args: readonly string[]): Promise<T>;
  /** Applies objects, as YAML does. */
  readonly apply: (...objects: readonly object[]) => Promise<void>;
  /** Pods of these namespaces run on Fargate. */
  profile(name: string, ...namespaces: readonly string[]): Promise<void>;
  deleteProfile(name: string): Promise<void>;
  remove(): Promise<void>;
}

export async function openShop(): Promise<Shop> {
  await run(["kubectl", "version", "--client"]).catch((error: unknown) => {
    throw new Error("this test drives clusters with kubectl, which is not on PATH", { cause: error });
  });
  const instance = await startInstance();
  const folder = await mkdtemp(join(tmpdir(), "tidegate-shop-"));
  const environment = { ...instance.environment, KUBECONFIG: join(folder, "kubeconfig") };
  // Where the control plane has to be built first, that takes its time.
  await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
  const stack = await createStack(instance);
  const statusOf = async (operation: string, ...args: readonly string[]): Promise<string | undefined> =>
    Object.values(await instance.aws<Readonly<Record<string, { readonly status?: string }>>>("eks", operation, ...args))[0]?.status;
  const vpc = `subnetIds=${stack.subnets.join(",")}`;
  await instance.aws("eks", "create-cluster", "--name", "shop", "--role-arn", stack.roleArn, "--resources-vpc-config", vpc);
  await until("the cluster is ACTIVE", async () => (await statusOf("describe-cluster", "--name", "shop")) === "ACTIVE", 240_000);
  await instance.client(["aws", "eks", "update-kubeconfig", "--name", "shop", "--kubeconfig", environment.KUBECONFIG]);
  const kubectl = async (...args: readonly string[]): Promise<string> =>
    (await run(["kubectl", ...args], { environment, timeoutMs: 120_000 })).stdout;
  const named = (name: string): readonly string[] => ["--cluster-name", "shop", "--fargate-profile-name", name];
  return {
    instance,
    stack,
    kubectl,
    get: async <T>(...args: readonly string[]) => JSON.parse(await kubectl("get", ...args, "--output", "json")) as T,
    async apply(...objects) {
      const input = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
      await run(["kubectl", "apply", "--filename", "-"], { environment, timeoutMs: 120_000, stdin: input });
    },
    async profile(name, ...namespaces) {
      const selectors = namespaces.map((namespace) => `namespace=${namespace}`);
      const role = ["--pod-execution-role-arn", stack.roleArn];
      await instance.aws("eks", "create-fargate-profile", ...named(name), ...role, "--selectors", ...selectors);
      await until(`the profile ${name} is ACTIVE`, async () => (await statusOf("describe-fargate-profile", ...named(name))) === "ACTIVE");
    },
    async deleteProfile(name) {
      await instance.aws("eks", "delete-fargate-profile", ...named(name));
      await until(`the profile ${name} is gone`, async () => {
        const left = await instance.aws<{ readonly fargateProfileNames: readonly string[] }>(
          "eks",
          "list-fargate-profiles",
          "--cluster-name",
          "shop",
        );
        return !left.fargateProfileNames.includes(name);
      });
    },
    async remove() {
      await removeWithoutTrace(instance);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
