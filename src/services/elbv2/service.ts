import type { Service } from "../../contracts/service.ts";
import { describeAccountLimits } from "./operations/account-limits.ts";
import { attributeOperations } from "./operations/attributes.ts";
import { listenerOperations } from "./operations/listeners.ts";
import { loadBalancerOperations } from "./operations/load-balancers.ts";
import { ruleOperations } from "./operations/rules.ts";
import { tagOperations } from "./operations/tags.ts";
import { targetGroupOperations } from "./operations/target-groups.ts";
import { targetOperations } from "./operations/targets.ts";
import type { Elbv2Ports } from "./ports.ts";

/**
 * Elastic Load Balancing v2: Application Load Balancers with HTTP listeners and rules, Network Load Balancers with TCP listeners, `ip` target
 * groups. Its operations write desired state; the
 * room that owns load balancers converges.
 */
export function createElbv2Service(ports: Elbv2Ports): Service {
  return {
    name: "elbv2",
    signingName: "elasticloadbalancing",
    apiVersion: "2015-12-01",
    xmlNamespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    protocol: "awsQuery",
    loadSchemas: () => import("@aws-sdk/client-elastic-load-balancing-v2"),
    operations: [
      ...loadBalancerOperations(ports),
      ...attributeOperations(ports),
      ...targetGroupOperations(ports),
      ...targetOperations(ports),
      ...listenerOperations(ports),
      ...ruleOperations(ports),
      ...tagOperations(ports),
      describeAccountLimits,
    ],
    errorCodes: { invalid: "ValidationError", unsupported: "UnsupportedFeature" },
  };
}
