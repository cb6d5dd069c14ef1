import type {
  CapacityProvider,
  DescribeCapacityProvidersRequest,
  DescribeCapacityProvidersResponse,
  Failure,
  PutClusterCapacityProvidersRequest,
  PutClusterCapacityProvidersResponse,
} from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { FARGATE_PROVIDERS, readStrategy } from "../capacity-rules.ts";
import { clusterView } from "../cluster-view.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster, atMost } from "../lookups.ts";
import { capacityProviderArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import { clusters } from "../records.ts";
import type { Room } from "../room.ts";
import { readProviders } from "./create-cluster.ts";

/** Replaces a cluster's providers and default strategy. @throws ClusterNotFoundException, InvalidParameterException */
export function putClusterCapacityProviders(room: Room): Operation<PutClusterCapacityProvidersRequest, PutClusterCapacityProvidersResponse> {
  return {
    name: "PutClusterCapacityProviders",
    members: { cluster: "used", capacityProviders: "used", defaultCapacityProviderStrategy: "used" },
    async handle(input, context) {
      const stored = await activeCluster(room, context, input.cluster);
      const capacityProviders = readProviders(input.capacityProviders);
      const strategy = readStrategy(input.defaultCapacityProviderStrategy ?? []);
      const foreign = strategy.find((item) => !capacityProviders.includes(item.capacityProvider ?? ""));
      if (foreign !== undefined) {
        throw invalidParameter(
          `The capacity provider '${foreign.capacityProvider}' of the default strategy is not among the cluster's capacity providers.`,
        );
      }
      const value = { ...stored.value, capacityProviders, defaultCapacityProviderStrategy: strategy };
      await room.store.transact([{ op: "update", collection: clusters, key: stored.key, value, ifRevision: stored.revision }]);
      return { cluster: await clusterView(room, value, ["TAGS", "SETTINGS"]) };
    },
  };
}

/** FARGATE and FARGATE_SPOT: no others can be made here. */
export function describeCapacityProviders(room: Room): Operation<DescribeCapacityProvidersRequest, DescribeCapacityProvidersResponse> {
  return {
    name: "DescribeCapacityProviders",
    members: {
      capacityProviders: "used",
      cluster: "used",
      include: { ignored: "the built-in providers have no tags" },
      maxResults: "used",
      nextToken: "used",
    },
    async handle(input, context) {
      atMost("capacityProviders", input.capacityProviders, 100);
      if (input.cluster !== undefined) await activeCluster(room, context, input.cluster);
      const asked = (input.capacityProviders ?? []).map((reference) => reference.split("capacity-provider/").at(-1) ?? reference);
      const names = asked.length === 0 ? FARGATE_PROVIDERS : FARGATE_PROVIDERS.filter((name) => asked.includes(name));
      const failures: Failure[] = asked
        .filter((name) => !FARGATE_PROVIDERS.includes(name))
        .map((name) => ({ arn: capacityProviderArn(context, name), reason: "MISSING" }));
      const page = pageOf(names, input, { idOf: (name) => name, defaultSize: 10 });
      const providers = page.items.map((name): CapacityProvider => ({
        capacityProviderArn: capacityProviderArn(context, name),
        name,
        status: "ACTIVE",
        type: name === "FARGATE" ? "FARGATE" : "FARGATE_SPOT",
        tags: [],
      }));
      return { capacityProviders: providers, failures, ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) };
    },
  };
}
