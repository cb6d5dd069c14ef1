import type {
  DescribeServicesRequest,
  DescribeServicesResponse,
  Failure,
  ListServicesRequest,
  ListServicesResponse,
  Service,
} from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster, atMost } from "../lookups.ts";
import { serviceArn, serviceNameOf } from "../names.ts";
import { pageOf } from "../paging.ts";
import { type ServiceRecord, serviceKey, services } from "../records.ts";
import type { Room } from "../room.ts";
import { serviceView } from "../service-view.ts";

/** Services by name or ARN, deleted ones as INACTIVE. @throws ClusterNotFoundException */
export function describeServices(room: Room): Operation<DescribeServicesRequest, DescribeServicesResponse> {
  return {
    name: "DescribeServices",
    members: { cluster: "used", services: "used", include: "used" },
    async handle(input, context) {
      if ((input.services ?? []).length === 0) throw invalidParameter("Services cannot be empty.");
      atMost("services", input.services, 10);
      const cluster = (await activeCluster(room, context, input.cluster)).value.name;
      await room.tasks.ready();
      const withTags = input.include?.includes("TAGS") === true;
      const found: Service[] = [];
      const failures: Failure[] = [];
      for (const name of new Set((input.services ?? []).map((reference) => serviceNameOf(reference, { scope: context, cluster })))) {
        const stored = await room.store.get(services, serviceKey(context, cluster, name));
        if (stored === undefined) {
          failures.push({ arn: serviceArn(context, cluster, name), reason: "MISSING" });
          continue;
        }
        const view = serviceView(stored.value, room.tasks.ofService(stored.key));
        found.push(withTags ? { ...view, tags: [...stored.value.tags] } : view);
      }
      return { services: found, failures };
    },
  };
}

/** ARNs of the ACTIVE services. @throws ClusterNotFoundException */
export function listServices(room: Room): Operation<ListServicesRequest, ListServicesResponse> {
  return {
    name: "ListServices",
    members: {
      cluster: "used",
      nextToken: "used",
      maxResults: "used",
      launchType: "used",
      schedulingStrategy: "used",
      resourceManagementType: "used",
    },
    async handle(input, context) {
      const cluster = await activeCluster(room, context, input.cluster);
      const own = await room.store.list(services, { prefix: `${cluster.key}/` });
      const found = own.map((stored) => stored.value).filter((service) => service.status === "ACTIVE" && matches(service, input));
      const arns = found.map((service) => serviceArn(service, service.cluster, service.name)).sort();
      const page = pageOf(arns, input, { idOf: (arn) => arn, defaultSize: 10 });
      return { serviceArns: [...page.items], ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) };
    },
  };
}

function matches(service: ServiceRecord, input: ListServicesRequest): boolean {
  const byStrategy = (service.deployments[0]?.revision.capacityProviderStrategy.length ?? 0) > 0;
  return (
    (input.launchType === undefined || (input.launchType === "FARGATE" && !byStrategy)) &&
    (input.schedulingStrategy === undefined || input.schedulingStrategy === "REPLICA") &&
    (input.resourceManagementType === undefined || input.resourceManagementType === "CUSTOMER")
  );
}
