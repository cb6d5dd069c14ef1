import { fileURLToPath } from "node:url";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateServiceCommand, waitUntilServicesStable } from "@aws-sdk/client-ecs";
import { DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askCommand, asks, reportOf } from "../support/ask-run.ts";
import { until } from "../support/instance.ts";
import { type Machine, MACHINE_ADDRESS, OUTSIDE_ADDRESS, startMachine } from "../support/machine.ts";
import { type MachineInstance, startInMachine } from "../support/machine-instance.ts";
import { createStack, ecrLogin, type Stack } from "../support/stack.ts";

/**
 * A host that serves others, as they see it: what is open, who they are to the load balancer, and that they notice nothing of what happens
 * to the control plane. Read are sockets, connections and processes.
 */

const PUBLISH = ["--publish", "0.0.0.0:80,81=web"];
/** A CGI script: who asks, as the load balancer says. */
const WHO = "#!/bin/sh\\necho Content-Type: text/plain\\necho\\necho $HTTP_X_FORWARDED_FOR\\n";

let machine: Machine;
let instance: MachineInstance;
let stack: Stack;
let balancerArn: string;
let firstWords: string;

beforeAll(async () => {
  machine = await startMachine();
  instance = await startInMachine(machine, { flags: ["--no-hosts"] });
  await instance.cli(["down"]);
  firstWords = (await instance.cli(["up", "--detach", "--no-hosts", ...PUBLISH])).stdout;
  stack = await createStack(instance);
});

afterAll(() => machine?.dispose());

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

async function published(): Promise<readonly Check[]> {
  const { stdout } = await instance.cli(["status", "--json"], { okCodes: [0, 1] });
  return (JSON.parse(stdout) as { readonly checks: readonly Check[] }).checks.filter(({ name }) => name.startsWith("publish "));
}

/** What `curl` in the network around the machine gets. */
async function fromOutside(url: string): Promise<string> {
  return (await machine.outside(["curl", "--silent", "--show-error", "--fail", "--max-time", "5", url])).stdout.trim();
}

/** Runs a scanner in the network around the machine; answers the ports that let it in. */
async function openPorts(address: string, ports: "all" | readonly number[]): Promise<readonly number[]> {
  const scanner = fileURLToPath(new URL("../support/scan-ports.ts", import.meta.url));
  const { stdout } = await machine.outside(["node", scanner, address, ports === "all" ? "1-65535" : ports.join(",")], { timeoutMs: 120_000 });
  return JSON.parse(stdout) as readonly number[];
}

test("`up` and `status` say what a published port waits for", async () => {
  expect(firstWords).toContain("NOT published: 0.0.0.0:80 there is no load balancer web yet");
  expect(await published()).toEqual([
    { name: "publish 0.0.0.0:80", ok: false, detail: "there is no load balancer web yet: the port opens when it comes" },
    { name: "publish 0.0.0.0:81", ok: false, detail: "there is no load balancer web yet: the port opens when it comes" },
  ]);
  expect((await instance.cli(["status"], { okCodes: [1] })).stdout).toContain("publish 0.0.0.0:80");
});

test("a load balancer that comes opens its port to the world, which is seen as who it is", { timeout: 120_000 }, async () => {
  const group = await stack.group("web", [{ port: 80, fromCidr: "0.0.0.0/0" }]);
  const targets = await stack.group("web-targets", [{ port: 8080, fromGroup: group }]);
  const { LoadBalancers } = await stack.elb.send(
    new CreateLoadBalancerCommand({ Name: "web", Subnets: [...stack.subnets], SecurityGroups: [group] }),
  );
  balancerArn = LoadBalancers?.[0]?.LoadBalancerArn ?? "";
  const check = { HealthCheckIntervalSeconds: 5, HealthCheckTimeoutSeconds: 2 };
  const { TargetGroups } = await stack.elb.send(
    new CreateTargetGroupCommand({ Name: "web", Protocol: "HTTP", Port: 8080, VpcId: stack.vpcId, TargetType: "ip", ...check }),
  );
  const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn ?? "";
  await stack.elb.send(
    new CreateListenerCommand({ LoadBalancerArn: balancerArn, Protocol: "HTTP", Port: 80, DefaultActions: [{ Type: "forward", TargetGroupArn }] }),
  );
  const script = `mkdir -p /www/cgi-bin; hostname > /www/index.html; printf '${WHO}' > /www/cgi-bin/who; chmod +x /www/cgi-bin/who; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait`;
  const taskDefinition = await stack.define("web", [{ name: "web", command: ["sh", "-c", script], portMappings: [{ containerPort: 8080 }] }]);
  await stack.ecs.send(
    new CreateServiceCommand({
      serviceName: "web",
      taskDefinition,
      desiredCount: 2,
      launchType: "FARGATE",
      networkConfiguration: stack.network(targets),
      loadBalancers: [{ targetGroupArn: TargetGroupArn, containerName: "web", containerPort: 8080 }],
    }),
  );
  await waitUntilServicesStable({ client: stack.ecs, maxWaitTime: 90, minDelay: 1, maxDelay: 2 }, { services: ["web"] });

  const checks = await published();
  expect(checks[0]).toMatchObject({ name: "publish 0.0.0.0:80", ok: true });
  expect(checks[1]?.detail).toContain("has no listener on port 81 (it has listeners on 80)");
  expect(await fromOutside(`http://${MACHINE_ADDRESS}/cgi-bin/who`)).toBe(OUTSIDE_ADDRESS);
  for (const address of ["127.0.0.1", MACHINE_ADDRESS]) {
    const { stdout } = await machine.exec(["curl", "--silent", "--fail", "--max-time", "5", `http://${address}/cgi-bin/who`]);
    expect(stdout.trim()).toMatch(address === MACHINE_ADDRESS ? /^198\.51\.100\.2$/ : /^169\.254\./);
  }
});

test("the world finds the published port, and nothing else", { timeout: 150_000 }, async () => {
  expect(await openPorts(MACHINE_ADDRESS, "all")).toEqual([80]);

  // Addresses that only this host has: the world is told the way to them.
  const ends = (await machine.exec(["ip", "-4", "-o", "address", "show"])).stdout;
  const [hostEnd = ""] = /(?<=inet )169\.254\.[\d.]+/.exec(ends) ?? [];
  const [balancer = ""] = /\d+\.\d+\.\d+\.\d+/.exec((await published())[0]?.detail ?? "") ?? [];
  const resolver = instance.vpcCidr.replace(/\.0\/.*$/, ".2");
  for (const to of [instance.vpcCidr, `${hostEnd}/32`]) await machine.outside(["ip", "route", "add", to, "via", MACHINE_ADDRESS]);
  const inside = [22, 53, 80, 81, 443, 4566, 8080, 51_679];
  for (const address of [balancer, resolver, hostEnd]) expect([address, await openPorts(address, inside)]).toEqual([address, []]);

  // What listens on the host: loopback, and the ends of its own links.
  const sockets = (await machine.exec(["ss", "--listening", "--tcp", "--udp", "--numeric", "--no-header"])).stdout.trim().split("\n");
  const addresses = sockets.map((line) => line.split(/\s+/)[4] ?? "");
  expect(addresses.length).toBeGreaterThan(1);
  expect(addresses.filter((address) => !address.startsWith("127.") && !address.startsWith(`${hostEnd}:`))).toEqual([]);
  const { runDir } = JSON.parse((await machine.exec(["cat", `${instance.dataDir}/instance.json`])).stdout) as { runDir: string };
  // Who is not root may open none of the daemons' sockets.
  const files = (await machine.exec(["find", runDir, "-type", "s", "-printf", "%m %g %f\\n"])).stdout.trim().split("\n");
  expect(files.length).toBeGreaterThan(3);
  expect(files.filter((line) => !/^[67][06]0 (root|unbound) /.test(line))).toEqual([]);
});

test(
  "under load the control plane is killed, ended and started, and restarted: the world loses no request, a restart none of the API's",
  { timeout: 150_000 },
  async () => {
    const web = machine.outsideBackground(askCommand("url", `http://${MACHINE_ADDRESS}/`));
    await asks(web);
    await instance.kill();
    expect(await fromOutside(`http://${MACHINE_ADDRESS}/`)).not.toBe("");
    await instance.cli(["up", "--detach", "--no-hosts", ...PUBLISH]);

    const before = machine.background(askCommand("api", `http://127.0.0.1:${instance.port}`), instance.environment);
    await asks(before);
    await until(
      "the API is asked",
      async () => (await stack.logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: "/asked/" }))).logGroups?.length,
    );
    await instance.cli(["down"]);
    const ended = await reportOf(before);
    // Those that were in flight were answered; who comes later is refused, and who stood in the kernel's queue just then is reset.
    const refused = ({ error, kept }: (typeof ended.failures)[number]): boolean =>
      error.includes("ECONNREFUSED") || (!kept && error.includes("ECONNRESET"));
    expect(ended.failures.filter((failure) => !refused(failure))).toEqual([]);
    expect(ended.answered).toBeGreaterThan(5);
    await instance.cli(["up", "--detach", "--no-hosts", ...PUBLISH]);

    const api = machine.background(askCommand("api", `http://127.0.0.1:${instance.port}`), instance.environment);
    await asks(api);
    const pid = await serverPid();
    for (let round = 0; round < 2; round++) {
      const { stdout } = await instance.cli(["restart"]);
      expect(stdout).toContain("Published: 0.0.0.0:80 leads to web");
    }
    expect(await serverPid()).not.toBe(pid);
    const [apiReport, webReport] = await Promise.all([reportOf(api), reportOf(web)]);
    expect(apiReport.failures).toEqual([]);
    expect(webReport.failures).toEqual([]);
    expect(Object.keys(webReport.answers)).toHaveLength(2);
    process.stdout.write(
      `restarts under load: ${apiReport.answered} API calls, slowest ${apiReport.slowestMs} ms; ${webReport.answered} requests from outside, slowest ${webReport.slowestMs} ms\n`,
    );
    const { stdout } = await instance.client([
      "aws",
      "logs",
      "describe-log-groups",
      "--log-group-name-prefix",
      "/asked/",
      "--query",
      "logGroups[].logGroupName",
      "--output",
      "text",
    ]);
    const there = new Set(stdout.trim().split(/\s+/));
    expect([...ended.written, ...apiReport.written].filter((name) => !there.has(name))).toEqual([]);
  },
);

test("a push in flight ends in the process that it began with, and its blob is published by the next", { timeout: 60_000 }, async () => {
  const login = await ecrLogin(stack.ecr);
  const registry = `http://127.0.0.1:${instance.port}`;
  const curl = ["curl", "--silent", "--show-error", "--fail", "--user", login];
  const started = await machine.exec([...curl, "--include", "--request", "POST", `${registry}/v2/tiny/blobs/uploads/`]);
  const location = /^location: (\S+)/im.exec(started.stdout)?.[1] ?? "";
  const upload = location.startsWith("/") ? `${registry}${location}` : location;
  await machine.exec(["dd", "if=/dev/urandom", "of=/var/lib/layer", "bs=1M", "count=4"]);
  const pid = await serverPid();
  let isSent = false;
  const sending = machine
    .exec([...curl, "--limit-rate", "1M", "--request", "PATCH", "--upload-file", "/var/lib/layer", upload])
    .finally(() => (isSent = true));
  await until("some of it has arrived", async () => {
    const { stdout } = await machine.exec(["sh", "-c", `cat ${instance.dataDir}/registry/uploads/* | head -c 1 | wc -c`]);
    return stdout.trim() === "1";
  });
  expect(isSent).toBe(false);
  await instance.cli(["restart"]);
  await sending;
  expect(await serverPid()).not.toBe(pid);
  const [digest = ""] = (await machine.exec(["sha256sum", "/var/lib/layer"])).stdout.split(" ");
  const there = upload.includes("?") ? "&" : "?";
  await machine.exec([...curl, "--request", "PUT", `${upload}${there}digest=sha256:${digest}`]);
  const { stdout } = await machine.exec([...curl, "--head", `${registry}/v2/tiny/blobs/sha256:${digest}`]);
  expect(stdout).toMatch(/content-length: 4194304/i);
});

test("a successor that cannot start leaves the one that serves; with other flags the ports of before close", { timeout: 120_000 }, async () => {
  const pid = await serverPid();
  const refused = await instance.cli(["restart", "--region", "eu-west-2"], { okCodes: [1] });
  expect(refused.stderr).toContain("the process before goes on");
  expect(refused.stderr).toContain("this instance was made with region");
  expect(await serverPid()).toBe(pid);
  expect(await fromOutside(`http://${MACHINE_ADDRESS}/`)).not.toBe("");

  const { stdout } = await instance.cli(["restart", "--no-hosts", "--publish", `${MACHINE_ADDRESS}:80=web`]);
  expect(stdout).toContain(`Published: ${MACHINE_ADDRESS}:80`);
  expect(await fromOutside(`http://${MACHINE_ADDRESS}/`)).not.toBe("");
  await expect(machine.exec(["curl", "--silent", "--max-time", "2", "http://127.0.0.1/"])).rejects.toThrow("exit code 7");
  await stack.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: balancerArn }));
  await until("the port is closed", async () => (await published())[0]?.ok === false);
  expect(await openPorts(MACHINE_ADDRESS, [80, 81])).toEqual([]);
});

async function serverPid(): Promise<number> {
  const { runDir } = JSON.parse((await machine.exec(["cat", `${instance.dataDir}/instance.json`])).stdout) as { runDir: string };
  return (JSON.parse((await machine.exec(["cat", `${runDir}/server.json`])).stdout) as { pid: number }).pid;
}
