import { join } from "node:path";
import { run } from "../../../src/host/run.ts";
import { until, type TestInstance } from "../../support/instance.ts";
import { createStack, type Stack } from "../../support/stack.ts";

/** An EKS cluster of a test's own, and the clients to drive it with. */
export interface TestCluster {
  readonly stack: Stack;
  /** What clients are started with: the instance's environment, and KUBECONFIG. */
  readonly environment: Readonly<Record<string, string>>;
  /** What `kubectl …` says on its standard output. @throws when it does not end with 0. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** `kubectl get … --output json`, parsed. */
  get<T>(...args: readonly string[]): Promise<T>;
  /** The status of what an operation of EKS describes. */
  statusOf(operation: string, ...args: readonly string[]): Promise<string | undefined>;
  /** Makes the Fargate profile `default` and waits until it is ACTIVE. */
  profile(...selectors: readonly string[]): Promise<void>;
}

/** Makes the cluster `shop` and waits until kubectl may be used. */
export async function createCluster(instance: TestInstance): Promise<TestCluster> {
  await run(["kubectl", "version", "--client"]).catch((error: unknown) => {
    throw new Error("this test drives clusters with kubectl, which is not on PATH", { cause: error });
  });
  const kubeconfig = join(instance.dataDir, "kubeconfig");
  const environment = { ...instance.environment, KUBECONFIG: kubeconfig };
  await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
  const stack = await createStack(instance);
  const statusOf: TestCluster["statusOf"] = async (operation, ...args) => {
    const answer = await instance.aws<Readonly<Record<string, { readonly status?: string }>>>("eks", operation, ...args);
    return Object.values(answer)[0]?.status;
  };
  const kubectl: TestCluster["kubectl"] = async (...args) => (await instance.client(["kubectl", "--kubeconfig", kubeconfig, ...args])).stdout;
  const vpc = `subnetIds=${stack.subnets.join(",")}`;
  await instance.aws(
    "eks",
    "create-cluster",
    "--name",
    "shop",
    "--role-arn",
    stack.roleArn,
    "--resources-vpc-config",
    vpc,
    "--no-bootstrap-self-managed-addons",
  );
  await until("the cluster is ACTIVE", async () => (await statusOf("describe-cluster", "--name", "shop")) === "ACTIVE", 240_000);
  await instance.client(["aws", "eks", "update-kubeconfig", "--name", "shop", "--kubeconfig", kubeconfig]);
  return {
    stack,
    environment,
    kubectl,
    get: async <T>(...args: readonly string[]) => JSON.parse(await kubectl("get", ...args, "--output", "json")) as T,
    statusOf,
    async profile(...selectors) {
      const profile = ["--cluster-name", "shop", "--fargate-profile-name", "default"];
      await instance.aws("eks", "create-fargate-profile", ...profile, "--pod-execution-role-arn", stack.roleArn, "--selectors", ...selectors);
      await until("the profile is ACTIVE", async () => (await statusOf("describe-fargate-profile", ...profile)) === "ACTIVE");
    },
  };
}
