/** Unmodified Terraform with its AWS provider: the stack of `terraform/stack.tf` made, unchanged, changed and taken away again. */
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomIds } from "../../src/core/ids.ts";
import { run, type RunResult } from "../../src/host/run.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { writeTinyImage } from "../support/tiny-image.ts";

/** The provider waits by itself, whatever the API says: 60 s for a load balancer, 10 s each for a cluster and its capacity providers. */
const APPLY_MS = 400_000;
const NO_CHANGE = 0;
/** A folder of providers, for machines that do not reach Terraform's registry. */
const MIRROR = process.env.TIDEGATE_TERRAFORM_MIRROR ?? "/opt/tf-plugins";

interface Outputs {
  readonly account: string;
  readonly url: string;
  readonly repository: string;
  readonly zones: readonly string[];
  readonly kubernetes: { readonly endpoint: string; readonly logs: readonly string[]; readonly token: string } | null;
}

/** A stack of a test's own, with its state, against one instance. */
class Stack {
  readonly name = `tf-${randomIds.hex(6)}`;
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#environment = environment;
  }

  static async open(instance: TestInstance): Promise<Stack> {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-terraform-"));
    await cp(join(import.meta.dirname, "terraform"), folder, { recursive: true });
    const stack = new Stack(folder, { ...instance.environment, ...(await cliConfig(folder)), CHECKPOINT_DISABLE: "1", TF_IN_AUTOMATION: "1" });
    await stack.run(["version"]).catch((cause: unknown) => {
      throw new Error("this test needs Terraform (https://developer.hashicorp.com/terraform/install), which is not on the PATH", { cause });
    });
    await stack.run(["init", "-no-color", "-input=false"]).catch((cause: unknown) => {
      throw new Error("this test needs Terraform's AWS provider, from its registry or a folder in TIDEGATE_TERRAFORM_MIRROR", { cause });
    });
    return stack;
  }

  run(args: readonly string[], okCodes: readonly number[] = [0]): Promise<RunResult> {
    return run(["terraform", `-chdir=${this.#folder}`, ...args], { environment: this.#environment, timeoutMs: APPLY_MS, okCodes });
  }

  apply(variables: Readonly<Record<string, unknown>>, options: readonly string[] = []): Promise<RunResult> {
    return this.run(["apply", "-no-color", "-auto-approve", "-input=false", ...this.#values(variables), ...options]);
  }

  /** Drift is a failure: exit code 2, whose words say what Terraform would change. */
  async planIsClean(variables: Readonly<Record<string, unknown>>): Promise<void> {
    const { code, stdout } = await this.run(["plan", "-no-color", "-detailed-exitcode", "-input=false", ...this.#values(variables)], [0, 2]);
    expect(code, stdout).toBe(NO_CHANGE);
  }

  async outputs(): Promise<Outputs> {
    const parsed = JSON.parse((await this.run(["output", "-json"])).stdout) as Record<string, { readonly value: unknown }>;
    return Object.fromEntries(Object.entries(parsed).map(([key, { value }]) => [key, value])) as unknown as Outputs;
  }

  async destroy(): Promise<void> {
    await this.run(["destroy", "-no-color", "-auto-approve", "-input=false", ...this.#values({})]);
    const state = JSON.parse(await readFile(join(this.#folder, "terraform.tfstate"), "utf8")) as { readonly resources: readonly unknown[] };
    expect(state.resources).toEqual([]);
  }

  remove(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }

  #values(variables: Readonly<Record<string, unknown>>): string[] {
    const all = Object.entries({ name: this.name, ...variables });
    return all.flatMap(([key, value]) => ["-var", `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`]);
  }
}

/** The user's own configuration of the command line, if there is one; else one that takes the provider from the mirror, if there is one. */
async function cliConfig(folder: string): Promise<Record<string, string>> {
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  const own = process.env.TF_CLI_CONFIG_FILE;
  if ((own !== undefined && (await exists(own))) || !(await exists(MIRROR))) return {};
  const path = join(folder, "cli.tfrc");
  await writeFile(path, `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(MIRROR)}\n  }\n}\n`);
  return { TF_CLI_CONFIG_FILE: path };
}

/** All that the stack could have left, as the APIs tell of it. */
async function leftOvers(instance: TestInstance, name: string): Promise<Record<string, unknown>> {
  const aws = (...args: readonly string[]): Promise<unknown> => instance.aws(...args);
  const [eksClusters, clusters, definitions, repositories, groups, roles, policies, balancers, targets, security, interfaces] = await Promise.all([
    aws("eks", "list-clusters", "--query", "clusters"),
    aws("ecs", "list-clusters", "--query", "clusterArns"),
    aws("ecs", "list-task-definitions", "--family-prefix", name, "--query", "taskDefinitionArns"),
    aws("ecr", "describe-repositories", "--query", "repositories[].repositoryName"),
    aws("logs", "describe-log-groups", "--log-group-name-prefix", `/ecs/${name}`, "--query", "logGroups[].logGroupName"),
    aws("iam", "list-roles", "--query", `Roles[?starts_with(RoleName, '${name}')].RoleName`),
    aws("iam", "list-policies", "--scope", "Local", "--query", "Policies[].PolicyName"),
    aws("elbv2", "describe-load-balancers", "--query", "LoadBalancers[].LoadBalancerName"),
    aws("elbv2", "describe-target-groups", "--query", "TargetGroups[].TargetGroupName"),
    aws("ec2", "describe-security-groups", "--query", "SecurityGroups[?GroupName!='default'].GroupName"),
    aws("ec2", "describe-network-interfaces", "--query", "NetworkInterfaces[].Description"),
  ]);
  return { eksClusters, clusters, definitions, repositories, groups, roles, policies, balancers, targets, security, interfaces };
}

async function expectNothingLeft(instance: TestInstance, name: string): Promise<void> {
  // The load balancer's interfaces go after the API has forgotten it, as on AWS.
  await until("the stack's interfaces are gone", async () => {
    const left = await instance.aws<unknown[]>("ec2", "describe-network-interfaces", "--query", "NetworkInterfaces[]");
    return left.length === 0;
  });
  const left = await leftOvers(instance, name);
  expect(left).toEqual(Object.fromEntries(Object.keys(left).map((kind) => [kind, []])));
}

describe("Terraform, without compute", () => {
  let instance: TestInstance;
  let stack: Stack;
  beforeAll(async () => {
    instance = await startInstance(["--engine", "simulated"]);
    stack = await Stack.open(instance);
  });
  afterAll(async () => {
    await stack?.remove();
    await instance?.remove();
  });

  it(
    "makes a service behind a load balancer; nothing drifts",
    async () => {
      await stack.apply({ eks: true });
      const { account, url, zones, kubernetes } = await stack.outputs();
      expect(kubernetes).toMatchObject({ endpoint: expect.stringMatching(/^https:\/\/172\./), logs: ["audit"] });
      expect(kubernetes?.token).toBe("k8s-aws-v1.");
      expect(zones).toEqual(["us-east-1a", "us-east-1b", "us-east-1c"]);
      expect(url).toMatch(new RegExp(`^http://${stack.name}-[0-9a-f]{16}\\.us-east-1\\.elb\\.tidegate\\.internal/$`));
      expect(account).toMatch(/^\d{12}$/);
      expect(await instance.aws("logs", "describe-log-groups", "--query", "logGroups[].[logGroupName,retentionInDays]")).toEqual([
        [`/ecs/${stack.name}`, 14],
      ]);
      const groupArn = `arn:aws:logs:us-east-1:${account}:log-group:/ecs/${stack.name}`;
      expect(await instance.aws("logs", "list-tags-for-resource", "--resource-arn", groupArn)).toEqual({
        tags: { Project: stack.name, Tier: "web" },
      });
      await stack.planIsClean({ eks: true });
    },
    APPLY_MS,
  );

  it(
    "changes the count and the task definition; wait_for_steady_state ends when the new tasks have replaced the old",
    async () => {
      const changed = { desired_count: 2, message: "second", eks: true, eks_logs: ["api", "audit"], eks_metrics_replicas: 3 };
      await stack.apply(changed);
      expect((await stack.outputs()).kubernetes?.logs).toEqual(["api", "audit"]);
      const addon = ["--cluster-name", stack.name, "--addon-name", "metrics-server", "--query", "addon.[status,configurationValues]"];
      expect(await instance.aws("eks", "describe-addon", ...addon)).toEqual(["ACTIVE", `{"replicas":3}`]);
      const services = await instance.aws<readonly object[]>(
        "ecs",
        "describe-services",
        "--cluster",
        stack.name,
        "--services",
        "app",
        "--query",
        "services[]",
      );
      expect(services).toMatchObject([{ desiredCount: 2, runningCount: 2, deployments: [{ status: "PRIMARY", runningCount: 2 }] }]);
      expect(await instance.aws("ecs", "list-task-definitions", "--family-prefix", stack.name, "--query", "taskDefinitionArns[]")).toEqual([
        expect.stringMatching(new RegExp(`:task-definition/${stack.name}:2$`)),
      ]);
      await stack.planIsClean(changed);
    },
    APPLY_MS,
  );

  it(
    "imports what is there",
    async () => {
      await stack.run(["state", "rm", "aws_ecs_cluster.main"]);
      await stack.run(["import", "-no-color", "-input=false", "-var", `name=${stack.name}`, "-var", "eks=true", "aws_ecs_cluster.main", stack.name]);
      await stack.planIsClean({ desired_count: 2, message: "second", eks: true, eks_logs: ["api", "audit"], eks_metrics_replicas: 3 });
    },
    APPLY_MS,
  );

  it(
    "destroys all of it",
    async () => {
      await stack.destroy();
      await expectNothingLeft(instance, stack.name);
    },
    APPLY_MS,
  );
});

describe("Terraform, with containers", () => {
  let instance: TestInstance;
  let stack: Stack;
  beforeAll(async () => {
    instance = await startInstance();
    stack = await Stack.open(instance);
  });
  afterAll(async () => {
    await stack?.remove();
    await instance?.remove();
  });

  /** Pushes a web server to the stack's own repository. */
  async function push(repository: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-image-"));
    try {
      const archive = join(folder, "image.tar");
      await writeTinyImage(archive);
      const { stdout: password } = await instance.client(["aws", "ecr", "get-login-password"]);
      const login = ["--dest-tls-verify=false", "--dest-creds", `AWS:${password.trim()}`];
      await instance.client(["skopeo", "copy", ...login, `oci-archive:${archive}`, `docker://${repository}:latest`]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  const read = async (url: string): Promise<string> => (await (await fetch(url)).text()).trim();

  it(
    "the stack serves what Terraform says, then what it says next, and is gone after destroy",
    async () => {
      const first = { command: ["sh", "-c", "echo $MESSAGE > /www/index.html; exec httpd -f -p 8080 -h /www"] };
      await stack.apply(first, ["-target=aws_ecr_repository.app"]);
      await push((await stack.outputs()).repository);
      await stack.apply(first);
      const { url } = await stack.outputs();
      await until(`${url} answers "first"`, async () => (await read(url)) === "first");
      await stack.planIsClean(first);
      const second = { ...first, desired_count: 2, message: "second" };
      await stack.apply(second);
      expect(await read(url)).toBe("second");
      await stack.planIsClean(second);
      await stack.destroy();
      await expectNothingLeft(instance, stack.name);
      expect(await readFile("/etc/hosts", "utf8")).not.toContain(new URL(url).hostname);
    },
    3 * APPLY_MS,
  );
});
