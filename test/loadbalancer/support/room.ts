/** A whole load balancer room over a lab. */
import { connect } from "node:net";
import type { HealthCheckSettings } from "../../../src/contracts/load-balancing.ts";
import type { DaemonSupervisor } from "../../../src/contracts/daemon.ts";
import type { Store } from "../../../src/contracts/store.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { randomIds } from "../../../src/core/ids.ts";
import { silentLogger, type Logger } from "../../../src/core/logger.ts";
import { createLoadBalancers, type LoadBalancers } from "../../../src/loadbalancer/load-balancers.ts";
import { call, until, type Lab, type LabTarget } from "./lab.ts";

export const SCOPE = { account: "123456789012", region: "us-east-1" };

/** Says what goes wrong, so that a failing test can be understood. */
export const loudLogger: Logger = {
  ...silentLogger,
  warn: (message, fields) => console.error(message, fields),
  error: (message, fields) => console.error(message, fields),
  child: () => loudLogger,
};

export interface Room {
  readonly balancers: LoadBalancers;
  /** Desired state, without waiting. */
  addGroup(options?: {
    readonly protocol?: "HTTP" | "TCP";
    readonly check?: Partial<HealthCheckSettings>;
    readonly attributes?: Readonly<Record<string, string>>;
  }): Promise<string>;
  /** An active load balancer with a listener on port 80 that forwards to the group, of the group's kind; its URL. */
  serve(
    targetGroupArn: string,
    options?: { readonly protocol?: "HTTP" | "TCP"; readonly attributes?: Readonly<Record<string, string>> },
  ): Promise<Served>;
  healthOf(targetGroupArn: string, target: { readonly ip: string; readonly port: number }): Promise<string>;
  /** Registers and waits until healthy. */
  addHealthy(targetGroupArn: string, target: LabTarget): Promise<void>;
}

export interface Served {
  readonly arn: string;
  readonly url: string;
  readonly listenerArn: string;
}

/** Whether somebody takes connections there. */
function dial(ip: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(80, ip, () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
}

export async function createRoom(lab: Lab, parts: { readonly store: Store; readonly supervisor: DaemonSupervisor }): Promise<Room> {
  const balancers = await createLoadBalancers({
    ...parts,
    config: lab.config,
    clock: systemClock,
    ids: randomIds,
    logger: loudLogger,
    network: lab.network,
  });
  const { api, registrar } = balancers;
  const healthOf = async (arn: string, { ip, port }: { readonly ip: string; readonly port: number }): Promise<string> => {
    const health = await registrar.health(arn, { ip, port });
    return health === undefined ? "gone" : health.state;
  };
  return {
    balancers,
    healthOf,
    async addGroup({ protocol = "HTTP", check = {}, attributes = {} } = {}) {
      const healthCheck = {
        protocol: "HTTP" as const,
        port: "traffic-port",
        path: "/health",
        intervalSeconds: 1,
        timeoutSeconds: 1,
        healthyThreshold: 3,
        unhealthyThreshold: 2,
        matcher: "200-299,302",
        ...check,
      };
      const kind = { protocol, targetType: "ip" } as const;
      const name = `tg-${randomIds.hex(6)}`;
      const group = await api.createTargetGroup({ ...SCOPE, ...kind, name, port: 80, vpcId: lab.vpcId, healthCheck, attributes, tags: {} });
      return group.arn;
    },
    async serve(targetGroupArn, { protocol = "HTTP", attributes = {} } = {}) {
      const subnets = ["subnet-a", "subnet-b"].map((subnetId, index) => ({ subnetId, availabilityZone: `us-east-1${"ab"[index]}` }));
      const name = `web-${randomIds.hex(6)}`;
      const spec = { ...SCOPE, name, scheme: "internal" as const, vpcId: lab.vpcId, subnets, securityGroupIds: ["sg-1"], attributes, tags: {} };
      const { record } = await api.createLoadBalancer({ ...spec, ...(protocol === "TCP" && { type: "network" as const }) });
      const listener = await api.createListener({
        loadBalancerArn: record.arn,
        port: 80,
        protocol,
        defaultAction: { type: "forward", targetGroupArn },
        attributes: {},
        tags: {},
      });
      const active = await until("active load balancer", async () => {
        const all = await api.loadBalancers(SCOPE);
        return all.find((view) => view.record.arn === record.arn && view.status.state === "active");
      });
      const url = `http://${active.status.addresses[0]?.ip}`;
      await until("the listener answers", () =>
        (protocol === "TCP" ? dial(active.status.addresses[0]?.ip ?? "") : call(url)).then(
          () => true,
          () => false,
        ),
      );
      return { arn: record.arn, url, listenerArn: listener.arn };
    },
    async addHealthy(targetGroupArn, { ip, port }) {
      await registrar.register(targetGroupArn, { ip, port });
      await until(`${ip} is healthy`, async () => (await healthOf(targetGroupArn, { ip, port })) === "healthy");
    },
  };
}
