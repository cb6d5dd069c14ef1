import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { InstanceConfig } from "../core/config.ts";
import { forgetInstance } from "./first-start.ts";
import { parseFlags } from "./flags.ts";
import { findInstance, openInstance } from "./instance.ts";
import { VERSION } from "./version.ts";

let folder: string;
const made: InstanceConfig[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-instance-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  for (const instance of made.splice(0)) await forgetInstance(instance, { purge: true });
});

async function start(...args: readonly string[]): Promise<InstanceConfig> {
  const config = await openInstance(parseFlags(["--data-dir", folder, ...args]), async (wanted) => wanted ?? "10.77.0.0/16");
  made.push(config);
  return config;
}

it("keeps what was decided at the first start, and refuses a flag that contradicts it", async () => {
  const first = await start("--engine", "simulated", "--region", "eu-west-1");
  const second = await start();
  expect(second).toEqual(first);
  expect(await findInstance(folder)).toMatchObject({ instanceId: first.instanceId, engine: "simulated", region: "eu-west-1" });
  await expect(start("--engine", "cri")).rejects.toMatchObject({
    kind: "conflict",
    message: expect.stringContaining("made with engine simulated") as string,
  });
  await expect(start("--region", "eu-west-2")).rejects.toMatchObject({ kind: "conflict" });
  expect(await start("--port", "4999")).toMatchObject({ port: 4999, earlierPorts: [first.port] });
  expect(await start("--port", "4998")).toMatchObject({ port: 4998, earlierPorts: [first.port, 4999] });
  expect(await start("--port", "4999")).toMatchObject({ port: 4999, earlierPorts: [first.port, 4998] });
  expect(await start()).toMatchObject({ port: 4999, earlierPorts: [first.port, 4998] });
});

it("reads what an older Tidegate kept, says who wrote it last, and refuses what a newer one wrote", async () => {
  const first = await start("--engine", "simulated");
  const path = join(folder, "instance.json");
  const { format, engine, tidegateVersion, ...oldest } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  expect([format, engine, tidegateVersion]).toEqual([2, "simulated", VERSION]);
  await writeFile(path, JSON.stringify(oldest));
  expect(await start()).toEqual({ ...first, engine: "cri" });
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ ...oldest, engine: "cri", format: 2, tidegateVersion: VERSION });
  await writeFile(path, JSON.stringify({ ...oldest, format: 3, tidegateVersion: "9.1.0" }));
  await expect(start()).rejects.toMatchObject({
    kind: "unsupported",
    message: expect.stringMatching(/has format 3; this Tidegate knows formats up to 2\. A newer Tidegate \(9\.1\.0\) wrote it/) as string,
  });
});

it("takes no folder that holds other people's things, since its purge removes the folder", async () => {
  await writeFile(join(folder, "tidegate.log"), "of `up --detach`");
  await mkdir(join(folder, "photos"));
  await expect(start()).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("holds other things (photos)") as string });
  await rm(join(folder, "photos"), { recursive: true });
  expect((await start()).engine).toBe("cri");
});

it("knows the folder by its full path, whatever the working directory of those who read it", () => {
  expect(parseFlags(["--data-dir", relative(process.cwd(), folder)]).dataDir).toBe(folder);
});

it.each([
  [["--port", "x"], '--port takes a port from 1 to 65535, not "x"'],
  [["--vpc-cidr", "10.0.0.0/8"], "--vpc-cidr takes an IPv4 block of /16 to /26"],
  [["--vpc-cidr", "10.0.0.0/28"], "--vpc-cidr takes an IPv4 block of /16 to /26"],
  [["--vpc-cidr", "300.0.0.0/16"], "--vpc-cidr takes an IPv4 block"],
  [["--vpc-cidr", "172.31.5.0/16"], "by its first address"],
  [["--account", "1"], "--account takes twelve digits"],
  [["--engine", "docker"], "--engine takes cri or simulated"],
  [["--auth", "off"], "--auth takes iam or none"],
  [["--host-port", "0"], "--host-port takes a port"],
  [["--publish", "80=web"], "--publish takes ADDRESS:PORT[,PORT…]=<load balancer>"],
  [["--publish", "0.0.0.0:80"], "--publish takes ADDRESS:PORT[,PORT…]=<load balancer>"],
  [["--publish", "0.0.0.0:80,x=web"], '--publish takes ports from 1 to 65535, not "x"'],
  [["--publish", "[::]:80=web"], "--publish takes IPv4 addresses only"],
  [["--publish", "0.0.0.0:80=web", "--publish", "127.0.0.1:80=api"], "127.0.0.1:80 (api) is in 0.0.0.0:80 (web) already"],
])("refuses %j in words", (args, words) => {
  expect(() => parseFlags(args)).toThrow(words);
});

it("takes several ports of an address for one load balancer, by name or ARN", () => {
  const arn = "arn:aws:elasticloadbalancing:us-east-1:100000000000:loadbalancer/app/api/0123456789abcdef";
  const { publish } = parseFlags(["--publish", "0.0.0.0:80,443=web", "--publish", `127.0.0.1:8080=${arn}`]);
  expect(publish).toEqual([
    { address: "0.0.0.0", port: 80, loadBalancer: "web" },
    { address: "0.0.0.0", port: 443, loadBalancer: "web" },
    { address: "127.0.0.1", port: 8080, loadBalancer: arn },
  ]);
});

it("picks another port and network than instances that start at the same time, and than those that are down", async () => {
  const networks = ["10.77.0.0/16", "10.78.0.0/16", "10.79.0.0/16", "10.80.0.0/16"];
  const open = async (name: string): Promise<InstanceConfig> => {
    const pick = async (wanted: string | undefined, taken: readonly { readonly cidr: string }[]) =>
      wanted ?? networks.find((cidr) => !taken.some((other) => other.cidr === cidr)) ?? "";
    const config = await openInstance(parseFlags(["--data-dir", join(folder, name)]), pick);
    made.push(config);
    return config;
  };
  const first = await open("down");
  // A reboot leaves no run folder.
  await rm(first.runDir, { recursive: true });
  const more = await Promise.all(["one", "two", "three"].map(open));
  const all = [first, ...more];
  expect(new Set(all.map((config) => config.vpcCidr)).size).toBe(4);
  expect(new Set(all.map((config) => config.port)).size).toBe(4);
});
