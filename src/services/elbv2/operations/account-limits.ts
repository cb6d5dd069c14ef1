import type { DescribeAccountLimitsInput, DescribeAccountLimitsOutput } from "@aws-sdk/client-elastic-load-balancing-v2";
import { operation } from "../room.ts";

/** AWS's defaults; Tidegate enforces those of rules and of target groups in an action. */
const LIMITS: Readonly<Record<string, number>> = {
  "application-load-balancers": 50,
  "condition-values-per-alb-rule": 5,
  "condition-wildcards-per-alb-rule": 6,
  "listeners-per-application-load-balancer": 50,
  "rules-per-application-load-balancer": 100,
  "listeners-per-network-load-balancer": 50,
  "network-load-balancers": 50,
  "target-groups": 3000,
  "target-groups-per-action-on-application-load-balancer": 5,
  "target-groups-per-application-load-balancer": 100,
  "targets-per-application-load-balancer": 1000,
  "targets-per-network-load-balancer": 3000,
  "targets-per-target-group": 1000,
};

export const describeAccountLimits = operation<DescribeAccountLimitsInput, DescribeAccountLimitsOutput>({
  name: "DescribeAccountLimits",
  members: { Marker: { ignored: "all limits fit one page" }, PageSize: { ignored: "all limits fit one page" } },
  async handle() {
    return { Limits: Object.entries(LIMITS).map(([Name, Max]) => ({ Name, Max: String(Max) })) };
  },
});
