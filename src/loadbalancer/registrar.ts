import type { Target, TargetGroupInfo, TargetHealth, TargetRegistrar } from "../contracts/load-balancer.ts";
import type { TargetGroupRecord } from "../contracts/load-balancing.ts";
import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import { deregistrationDelaySeconds } from "./attributes.ts";
import { forwardersOf } from "./load-balancing.ts";
import { targetHealths, targetKey, targetRecords } from "./records.ts";
import { createTargets, healthOf, requireGroup } from "./targets.ts";

const NOT_REGISTERED = { state: "unused", reason: "Target.NotRegistered", description: "Target is not registered to the target group" } as const;

/** What the orchestrators need of ELBv2, over the store. A target that is gone is told to watchers as `unused`, Target.NotRegistered. */
export function createTargetRegistrar(options: { readonly store: Store; readonly clock: Clock; readonly ids: Ids }): TargetRegistrar {
  const { store } = options;
  const targets = createTargets(options);
  return {
    async describeTargetGroup(targetGroupArn): Promise<TargetGroupInfo> {
      const group = await requireGroup(store, targetGroupArn);
      return {
        targetGroupArn,
        vpcId: group.vpcId,
        targetType: group.targetType,
        protocol: group.protocol,
        port: group.port,
        loadBalancerArns: await loadBalancersOf(store, group),
        deregistrationDelaySeconds: deregistrationDelaySeconds(group),
      };
    },
    register: (targetGroupArn, target) => targets.register(targetGroupArn, [target]),
    deregister: (targetGroupArn, target) => targets.deregister(targetGroupArn, [target]),
    async health(targetGroupArn: string, target: Target): Promise<TargetHealth | undefined> {
      const key = targetKey({ targetGroupArn, ...target });
      const [record, known] = await Promise.all([store.get(targetRecords, key), store.get(targetHealths, key)]);
      return record === undefined ? undefined : healthOf(record.value, known?.value);
    },
    watch(listener) {
      return store.watch(targetHealths, ({ value, previous }) => {
        const health = value ?? previous;
        if (health === undefined) return;
        const { targetGroupArn, ip, port, state, reason, description } = health;
        const words = { ...(reason === undefined ? {} : { reason }), ...(description === undefined ? {} : { description }) };
        listener({ targetGroupArn, ip, port, ...(value === undefined ? NOT_REGISTERED : { state, ...words }) });
      });
    },
  };
}

async function loadBalancersOf(store: Store, group: TargetGroupRecord): Promise<readonly string[]> {
  const users = (await forwardersOf(store, group)).filter(({ targetGroupArns }) => targetGroupArns.includes(group.arn));
  return [...new Set(users.map(({ loadBalancerArn }) => loadBalancerArn))];
}
