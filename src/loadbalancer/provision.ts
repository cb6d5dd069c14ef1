import type { LoadBalancerRecord, LoadBalancerStatus } from "../contracts/load-balancing.ts";
import type { Network } from "../contracts/network.ts";
import type { Store } from "../contracts/store.ts";
import type { Logger } from "../core/logger.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import { idOfArn, keyOfArn, loadBalancerRecords, loadBalancerStatuses, shortNameOfArn } from "./records.ts";

/** Addresses and names of load balancers. */
export interface Provisioner {
  /** Gives it an address in each subnet and its name; idempotent, and done anew once in each run, since a reboot takes addresses away. */
  provision(balancer: LoadBalancerRecord, before: LoadBalancerStatus | undefined): Promise<LoadBalancerStatus>;
  /** Takes addresses and names away, then forgets it. Idempotent. */
  remove(balancer: LoadBalancerRecord): Promise<void>;
  /** Frees the addresses of load balancers that no record knows. */
  sweep(): Promise<void>;
}

const ATTACHMENT_PREFIX = "elb-";

export function createProvisioner({
  store,
  network,
  logger,
}: {
  readonly store: Store;
  readonly network: Network;
  readonly logger: Logger;
}): Provisioner {
  const doneInThisRun = new Set<string>();

  const attach = async (balancer: LoadBalancerRecord): Promise<LoadBalancerStatus> => {
    const addresses: { subnetId: string; ip: string }[] = [];
    for (const { subnetId } of balancer.subnets) {
      const status = await network.attachLocal({
        attachmentId: attachmentId(balancer.arn, subnetId),
        owner: shortNameOfArn(balancer.arn),
        account: balancer.account,
        region: balancer.region,
        subnetId,
        securityGroupIds: balancer.securityGroupIds,
        unguarded: balancer.type === "network" && balancer.securityGroupIds.length === 0,
        assignPublicIp: false,
        description: `ELB ${shortNameOfArn(balancer.arn)}`,
      });
      addresses.push({ subnetId, ip: status.privateIpv4 });
    }
    const records = [{ name: balancer.dnsName, addresses: addresses.map(({ ip }) => ip) }];
    await network.setNames(shortNameOfArn(balancer.arn), { vpcId: balancer.vpcId, records, host: true });
    return { state: "active", addresses };
  };

  return {
    async provision(balancer, before) {
      if (doneInThisRun.has(balancer.arn) && before?.state === "active") return before;
      const status = await attach(balancer).catch((error: unknown): LoadBalancerStatus => {
        if (!isProblem(error, "exhausted", "invalid", "not-found")) throw error;
        logger.warn("a load balancer got no address", { key: balancer.arn, err: error });
        return { state: "failed", reason: messageOf(error), addresses: before?.addresses ?? [] };
      });
      doneInThisRun.add(balancer.arn);
      return status;
    },
    async remove(balancer) {
      await network.setNames(shortNameOfArn(balancer.arn), { vpcId: balancer.vpcId, records: [], host: true });
      for (const { subnetId } of balancer.subnets) await network.detach(attachmentId(balancer.arn, subnetId));
      const key = keyOfArn(balancer.arn);
      const hasStatus = (await store.get(loadBalancerStatuses, key)) !== undefined;
      await store.transact([
        { op: "delete", collection: loadBalancerRecords, key },
        ...(hasStatus ? [{ op: "delete", collection: loadBalancerStatuses, key } as const] : []),
      ]);
      doneInThisRun.delete(balancer.arn);
    },
    async sweep() {
      const balancers = (await store.list(loadBalancerRecords)).map(({ value }) => value);
      const owned = new Set(balancers.flatMap(({ arn, subnets }) => subnets.map(({ subnetId }) => attachmentId(arn, subnetId))));
      for (const { attachmentId } of await network.list()) {
        if (attachmentId.startsWith(ATTACHMENT_PREFIX) && !owned.has(attachmentId)) await network.detach(attachmentId);
      }
    },
  };
}

function attachmentId(arn: string, subnetId: string): string {
  return `${ATTACHMENT_PREFIX}${idOfArn(arn)}-${subnetId}`;
}
