import { DescribeLoadBalancersCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  CreateServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ListTasksCommand,
  RunTaskCommand,
  StopTaskCommand,
  UpdateServiceCommand,
  waitUntilServicesStable,
} from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { constantLoad, more } from "../support/constant-load.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { firstProcesses, nftList, vpcNamespaces } from "../support/kernel.ts";
import { addressOf, createStack, type Stack } from "../support/stack.ts";
import { webLoadBalancer } from "../support/web-service.ts";

/** kill -9 of the control plane. What is read: processes with their start times, nftables' sets, the answers that a client got. */

let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
});

afterAll(() => removeWithoutTrace(instance));

async function tasksOf(options: { readonly serviceName?: string; readonly startedBy?: string }) {
  const { taskArns = [] } = await stack.ecs.send(new ListTasksCommand(options));
  if (taskArns.length === 0) return [];
  const { tasks = [] } = await stack.ecs.send(new DescribeTasksCommand({ tasks: taskArns }));
  return tasks;
}

/** The addresses that packets may come from and go to, by the VPC's rules. */
async function admittedAddresses(): Promise<readonly string[]> {
  const [vpc = ""] = await vpcNamespaces(instance.instanceId);
  return [...(await nftList(vpc, "set", "enis")).matchAll(/\d+\.\d+\.\d+\.\d+/g)].map(([address]) => address);
}

/** Looks a name up as a program in the task would. */
async function lookUpIn(pid: number, name: string): Promise<string> {
  const inside = ["nsenter", "--target", String(pid), "--mount", "--net", "--root"];
  return (await run([...inside, "/bin/busybox", "nslookup", "-type=a", name])).stdout;
}

function servicesStable() {
  return waitUntilServicesStable({ client: stack.ecs, maxWaitTime: 90, minDelay: 1, maxDelay: 2 }, { cluster: "default", services: ["web"] });
}

describe("a service behind a load balancer under constant load", () => {
  test(
    "loses no request, task, name or log line to the death of the control plane, and can be deployed to after `up`",
    { timeout: 180_000 },
    async () => {
      const group = await stack.group("web", [{ port: 80, fromCidr: "0.0.0.0/0" }]);
      const targets = await stack.group("web-targets", [{ port: 8080, fromGroup: group }]);
      const { dnsName, targetGroupArn } = await webLoadBalancer(stack, group);
      const script =
        "mkdir -p /www; hostname > /www/index.html; (i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done) & exec httpd -f -p 8080 -h /www";
      const taskDefinition = await stack.define("web", [{ name: "web", command: ["sh", "-c", script], portMappings: [{ containerPort: 8080 }] }]);
      await stack.ecs.send(
        new CreateServiceCommand({
          serviceName: "web",
          taskDefinition,
          desiredCount: 2,
          launchType: "FARGATE",
          networkConfiguration: stack.network(targets),
          loadBalancers: [{ targetGroupArn, containerName: "web", containerPort: 8080 }],
        }),
      );
      await servicesStable();
      const [before, processesBefore] = await Promise.all([tasksOf({ serviceName: "web" }), firstProcesses(instance.instanceId, "httpd -f")]);
      expect(processesBefore).toHaveLength(2);

      const url = `http://${dnsName}/`;
      await until("the load balancer answers", async () => (await fetch(url)).status === 200);
      await using load = constantLoad(url);
      await more(load, 200);
      expect(load.answers().size).toBe(2);

      await instance.kill();
      await more(load, 400);
      expect(load.answers().size).toBe(2);
      const [balancer = ""] = (await run(["getent", "ahostsv4", dnsName])).stdout.split(/\s/);
      expect(await lookUpIn(processesBefore[0]?.pid ?? 0, dnsName)).toContain(balancer);
      await instance.up();

      const after = await tasksOf({ serviceName: "web" });
      const identity = (tasks: typeof before) =>
        tasks
          .map((task) => ({ arn: task.taskArn, startedAt: task.startedAt, ip: addressOf(task), container: task.containers?.[0]?.runtimeId }))
          .toSorted((a, b) => (a.arn ?? "").localeCompare(b.arn ?? ""));
      expect(identity(after)).toEqual(identity(before));
      expect(await firstProcesses(instance.instanceId, "httpd -f")).toEqual(processesBefore);

      await stack.ecs.send(new UpdateServiceCommand({ service: "web", desiredCount: 3 }));
      await servicesStable();
      load.answers();
      await more(load, 300);
      expect(load.answers().size).toBe(3);
      expect(load.failures).toEqual([]);

      for (const { taskArn = "" } of before) {
        const lines = await until("the lines of the time after it are there", async () => {
          const now = await stack.lines(taskArn, "web");
          return now.length > 100 && now;
        });
        expect(lines).toEqual(lines.map((_, index) => `tick ${index + 1}`));
      }
      const targetsOf = (await tasksOf({ serviceName: "web" })).map(addressOf);
      await stack.ecs.send(new UpdateServiceCommand({ service: "web", desiredCount: 0 }));
      await until("the service has ended its tasks", async () => {
        const { services } = await stack.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
        const admitted = await admittedAddresses();
        return services?.[0]?.runningCount === 0 && !targetsOf.some((address) => admitted.includes(address));
      });
      const { LoadBalancers } = await stack.elb.send(new DescribeLoadBalancersCommand({ Names: ["web"] }));
      expect(LoadBalancers?.[0]?.State?.Code).toBe("active");
    },
  );
});

describe("ten tasks asked for at once", () => {
  const COUNT = 10;
  /** Of the load balancer above. */
  let others: readonly string[];

  beforeAll(async () => {
    others = await admittedAddresses();
  });

  async function storm(startedBy: string, marker: string): Promise<void> {
    const taskDefinition = await stack.define(startedBy, [
      { name: "app", command: ["sh", "-c", `trap 'exit 0' TERM; while :; do sleep 0.2; : ${marker}; done`] },
    ]);
    const { tasks } = await stack.ecs.send(
      new RunTaskCommand({ taskDefinition, count: COUNT, launchType: "FARGATE", startedBy, networkConfiguration: stack.network() }),
    );
    expect(tasks).toHaveLength(COUNT);
  }

  async function eachRunsOnce(startedBy: string, marker: string): Promise<void> {
    const tasks = await until("all run", async () => {
      const now = await tasksOf({ startedBy });
      return now.length === COUNT && now.every((task) => task.lastStatus === "RUNNING") && now;
    });
    expect((await firstProcesses(instance.instanceId, marker)).length).toBe(COUNT);
    expect((await admittedAddresses()).toSorted()).toEqual([...others, ...tasks.map(addressOf)].toSorted());
  }

  async function endsWhole(startedBy: string, marker: string): Promise<void> {
    await until("all have ended", async () => (await tasksOf({ startedBy })).length === 0);
    await until("no process is left", async () => (await firstProcesses(instance.instanceId, marker)).length === 0);
    await until("no address is left", async () => (await admittedAddresses()).length === others.length);
  }

  test("and the control plane killed as it answers: after `up` each runs once", { timeout: 120_000 }, async () => {
    await storm("at-once", "71101");
    await instance.kill();
    await instance.up();
    await eachRunsOnce("at-once", "71101");
  });

  test("and killed while they are stopped: after `up` all end, and nothing of them is left", { timeout: 120_000 }, async () => {
    const tasks = await tasksOf({ startedBy: "at-once" });
    await Promise.all(tasks.map(({ taskArn }) => stack.ecs.send(new StopTaskCommand({ task: taskArn }))));
    await instance.kill();
    await instance.up();
    await endsWhole("at-once", "71101");
  });

  test("and killed when some run, some are being made: after `up` each runs once", { timeout: 120_000 }, async () => {
    await storm("half-way", "71102");
    await until("some run", async () => (await firstProcesses(instance.instanceId, "71102")).length >= 3);
    await instance.kill();
    await instance.up();
    await eachRunsOnce("half-way", "71102");
    const tasks = await tasksOf({ startedBy: "half-way" });
    await Promise.all(tasks.map(({ taskArn }) => stack.ecs.send(new StopTaskCommand({ task: taskArn }))));
    await endsWhole("half-way", "71102");
  });
});
