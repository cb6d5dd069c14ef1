import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { freePort } from "../../test/support/free-port.ts";
import type { Rooms } from "./rooms.ts";
import { startServer, type Server } from "./server.ts";

/** All rooms as `server` ties them, over the simulated engine, in a time that the test moves. Signatures are not checked. */
export interface SimulatedServer extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: string;
  readonly config: InstanceConfig;
  /** Calls ECS. @throws Error with the answer's text when it is refused. */
  ecs<T = Record<string, unknown>>(this: void, operation: string, input: object): Promise<T>;
  /** A cluster, the task definition `web` of one container, and what to run it with. */
  prepareWeb(): Promise<object>;
}

export async function startSimulatedServer(clock: Clock, onRooms?: (rooms: Rooms) => void): Promise<SimulatedServer> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-server-"));
  const config: InstanceConfig = {
    instanceId: randomIds.hex(6),
    port: await freePort(),
    account: "100000000000",
    region: "us-east-1",
    vpcCidr: "172.31.0.0/16",
    runDir: join(folder, "run"),
    dataDir: join(folder, "data"),
    auth: "none",
    engine: "simulated",
    hostPorts: [],
    publish: [],
    manageHosts: false,
    trustHostCa: false,
  };
  const server: Server = await startServer(
    config,
    { clock, ids: randomIds, logger: silentLogger },
    { version: "test", ...(onRooms !== undefined && { onRooms }) },
  );
  const url = `http://127.0.0.1:${config.port}`;
  const post = async (headers: Record<string, string>, body: string): Promise<string> => {
    const answer = await fetch(`${url}/`, { method: "POST", headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  const ecs: SimulatedServer["ecs"] = async <T>(operation: string, input: object) =>
    JSON.parse(
      await post(
        { "x-amz-target": `AmazonEC2ContainerServiceV20141113.${operation}`, "content-type": "application/x-amz-json-1.1" },
        JSON.stringify(input),
      ),
    ) as T;
  return {
    url,
    dataDir: config.dataDir,
    config,
    ecs,
    async prepareWeb() {
      const subnets = await post({ "content-type": "application/x-www-form-urlencoded" }, "Action=DescribeSubnets&Version=2016-11-15");
      const ids = [...subnets.matchAll(/<subnetId>([^<]+)/g)].map((match) => match[1]);
      await ecs("CreateCluster", {});
      await ecs("RegisterTaskDefinition", {
        family: "web",
        cpu: "256",
        memory: "512",
        networkMode: "awsvpc",
        requiresCompatibilities: ["FARGATE"],
        containerDefinitions: [{ name: "app", image: "web", essential: true }],
      });
      const networkConfiguration = { awsvpcConfiguration: { subnets: ids, assignPublicIp: "ENABLED" } };
      return { taskDefinition: "web", launchType: "FARGATE", networkConfiguration };
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
