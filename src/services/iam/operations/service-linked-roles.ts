import type { CreateServiceLinkedRoleRequest, CreateServiceLinkedRoleResponse } from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { operation } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { invalidInput } from "../errors.ts";
import { uniqueId } from "../identifiers.ts";
import { namedKey, ROLES } from "../records.ts";
import type { RoleRecord } from "../records.ts";
import { roleView } from "../views.ts";

/** The role's name and policy by service principal. */
const LINKED: Readonly<Record<string, readonly [roleName: string, policy: string]>> = {
  "ecs.amazonaws.com": ["AWSServiceRoleForECS", "AmazonECSServiceRolePolicy"],
  "elasticloadbalancing.amazonaws.com": ["AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"],
  "ecs.application-autoscaling.amazonaws.com": ["AWSServiceRoleForApplicationAutoScaling_ECSService", "AWSApplicationAutoscalingECSServicePolicy"],
  "autoscaling.amazonaws.com": ["AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy"],
  "eks.amazonaws.com": ["AWSServiceRoleForAmazonEKS", "AmazonEKSServiceRolePolicy"],
  "eks-fargate.amazonaws.com": ["AWSServiceRoleForAmazonEKSForFargate", "AmazonEKSForFargateServiceRolePolicy"],
  "eks-nodegroup.amazonaws.com": ["AWSServiceRoleForAmazonEKSNodegroup", "AWSServiceRoleForAmazonEKSNodegroup"],
};

/** Roles that belong to a service. Tidegate's own parts need none; setups made for AWS create them. */
export function serviceLinkedRoleOperations({ store, ids }: IamRoom): readonly Operation<never>[] {
  return [
    operation<CreateServiceLinkedRoleRequest, CreateServiceLinkedRoleResponse>({
      name: "CreateServiceLinkedRole",
      members: { AWSServiceName: "used", Description: "used", CustomSuffix: { refused: "no service served here takes a suffix" } },
      async handle(input, { account, nowMs }) {
        const service = input.AWSServiceName!;
        const linked = LINKED[service];
        if (linked === undefined)
          throw invalidInput(`Tidegate has no service-linked role for ${service}. It has them for: ${Object.keys(LINKED).join(", ")}.`);
        const [name, policy] = linked;
        const role: RoleRecord = {
          account,
          name,
          path: `/aws-service-role/${service}/`,
          id: uniqueId(ids, "AROA"),
          createdAtMs: nowMs,
          trustPolicy: JSON.stringify({
            Version: "2012-10-17",
            Statement: [{ Action: ["sts:AssumeRole"], Effect: "Allow", Principal: { Service: [service] } }],
          }),
          description: input.Description,
          maxSessionSeconds: 3600,
          tags: [],
          inlinePolicies: {},
          attachedPolicies: [`arn:aws:iam::aws:policy/aws-service-role/${policy}`],
          linkedService: service,
        };
        try {
          await store.transact([{ op: "create", collection: ROLES, key: namedKey(account, name), value: role }]);
        } catch (error) {
          if (isProblem(error, "already-exists"))
            throw invalidInput(`Service role name ${name} has been taken in this account, please try a different suffix.`);
          throw error;
        }
        return { Role: roleView(role) };
      },
    }),
  ];
}
