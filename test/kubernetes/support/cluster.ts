import { join } from "node:path";
import {
  CreateClusterCommand,
  CreateFargateProfileCommand,
  DeleteClusterCommand,
  DeleteFargateProfileCommand,
  DescribeClusterCommand,
  DescribeFargateProfileCommand,
  ListClustersCommand,
  ListFargateProfilesCommand,
} from "@aws-sdk/client-eks";
import { run } from "../../../src/host/run.ts";
import { until, type TestInstance } from "../../support/instance.ts";
import { createStack, type Stack } from "../../support/stack.ts";
import { writeKubeconfig } from "./kubeconfig.ts";

/** An EKS cluster of a test's own, named `shop`, and the clients to drive it with. */
export interface TestCluster {
  readonly stack: Stack;
  /** What clients are started with: the instance's environment, and KUBECONFIG, which is in a folder of the clients' own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the clients keep what is theirs, in the instance's folder. */
  readonly clientFolder: string;
  /** What `kubectl …` says on its standard output. @throws when it does not end with 0. */
  readonly kubectl: (...args: readonly string[]) => Promise<string>;
  /** `kubectl get … --output json`, parsed. */
  get<T>(...args: readonly string[]): Promise<T>;
  /** Applies manifests, and answers when the API server has them. */
  readonly apply: (...objects: readonly object[]) => Promise<void>;
  /** Makes the Fargate profile `default` and waits until it is ACTIVE. */
  profile(...selectors: readonly { readonly namespace: string }[]): Promise<void>;
  /** Deletes the Fargate profile `default` and waits until it is gone. */
  deleteProfile(): Promise<void>;
}

/** Makes the cluster, without CoreDNS unless asked for, and waits until kubectl may be used. */
export async function createCluster(instance: TestInstance, { coredns = false }: { readonly coredns?: boolean } = {}): Promise<TestCluster> {
  await run(["kubectl", "version", "--client"]).catch((error: unknown) => {
    throw new Error("this test drives clusters with kubectl, which is not on PATH", { cause: error });
  });
  const clientFolder = join(instance.dataDir, "client");
  const environment = { ...instance.environment, KUBECONFIG: join(clientFolder, "kubeconfig") };
  // Where the control plane has to be built first, that takes its time.
  await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
  const stack = await createStack(instance);
  const { eks } = stack;
  const resourcesVpcConfig = { subnetIds: [...stack.subnets] };
  await eks.send(new CreateClusterCommand({ name: "shop", roleArn: stack.roleArn, resourcesVpcConfig, bootstrapSelfManagedAddons: coredns }));
  await until(
    "the cluster is ACTIVE",
    async () => (await eks.send(new DescribeClusterCommand({ name: "shop" }))).cluster?.status === "ACTIVE",
    240_000,
  );
  await writeKubeconfig(instance, { cluster: "shop", path: environment.KUBECONFIG });
  // By the instance's own means: it may be in a machine of its own.
  const client = ["kubectl", "--kubeconfig", environment.KUBECONFIG];
  const kubectl: TestCluster["kubectl"] = async (...args) => (await instance.client([...client, ...args])).stdout;
  const profile = { clusterName: "shop", fargateProfileName: "default" };
  return {
    stack,
    environment,
    clientFolder,
    kubectl,
    get: async <T>(...args: readonly string[]) => JSON.parse(await kubectl("get", ...args, "--output", "json")) as T,
    async apply(...objects) {
      const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
      // The API server validates too; what kubectl would fetch for it is the whole of its API's description.
      await instance.client([...client, "apply", "--validate=false", "--filename", "-"], { stdin });
    },
    async profile(...selectors) {
      await eks.send(new CreateFargateProfileCommand({ ...profile, podExecutionRoleArn: stack.roleArn, selectors: [...selectors] }));
      await until(
        "the profile is ACTIVE",
        async () => (await eks.send(new DescribeFargateProfileCommand(profile))).fargateProfile?.status === "ACTIVE",
      );
    },
    async deleteProfile() {
      await eks.send(new DeleteFargateProfileCommand(profile));
      await until("the profile is gone", async () => {
        const { fargateProfileNames = [] } = await eks.send(new ListFargateProfilesCommand({ clusterName: "shop" }));
        return fargateProfileNames.length === 0;
      });
    },
  };
}

/** Deletes the cluster and waits until it is gone. */
export async function deleteCluster({ stack: { eks } }: TestCluster): Promise<void> {
  await eks.send(new DeleteClusterCommand({ name: "shop" }));
  await until("the cluster is gone", async () => !(await eks.send(new ListClustersCommand({}))).clusters?.includes("shop"), 120_000);
}
