import type {
  DescribeRegistryRequest,
  DescribeRegistryResponse,
  GetAuthorizationTokenRequest,
  GetAuthorizationTokenResponse,
} from "@aws-sdk/client-ecr";
import type { Operation } from "../../../contracts/service.ts";
import type { EcrRoom } from "../room.ts";

/**
 * A token of 12 hours for `docker login`. It carries the caller's account and region, so plain names find that region's repositories.
 * Differs: the endpoint is this instance's, by plain HTTP on loopback.
 */
export function getAuthorizationToken({ registry, port }: EcrRoom): Operation<GetAuthorizationTokenRequest, GetAuthorizationTokenResponse> {
  return {
    name: "GetAuthorizationToken",
    members: { registryIds: { ignored: "deprecated by AWS; a token opens what its principal may use, whatever registries are named" } },
    async handle(_input, context) {
      const { account, region, principal } = context;
      const { authorizationToken, expiresAtMs } = registry.tokens.issue({ account, region, principalArn: principal.arn });
      return { authorizationData: [{ authorizationToken, expiresAt: new Date(expiresAtMs), proxyEndpoint: `http://localhost:${port}` }] };
    },
  };
}

/** Replication cannot be set up, so there are no rules. */
export function describeRegistry(): Operation<DescribeRegistryRequest, DescribeRegistryResponse> {
  return {
    name: "DescribeRegistry",
    members: {},
    async handle(_input, context) {
      return { registryId: context.account, replicationConfiguration: { rules: [] } };
    },
  };
}
