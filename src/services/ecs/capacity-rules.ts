import type { CapacityProviderStrategyItem } from "@aws-sdk/client-ecs";
import { AwsError } from "../../core/aws-error.ts";
import { invalidParameter, notBuilt, platformUnknown } from "./errors.ts";
import type { ClusterRecord } from "./records.ts";

export const FARGATE_PROVIDERS: readonly string[] = ["FARGATE", "FARGATE_SPOT"];
export const PLATFORM_VERSION = "1.4.0";

/** @throws InvalidParameterException for a provider that is not built in, a doubled `base`, or no weight among several. */
export function readStrategy(items: readonly CapacityProviderStrategyItem[]): readonly CapacityProviderStrategyItem[] {
  const strategy = items.map((item) => ({ capacityProvider: item.capacityProvider, weight: item.weight ?? 0, base: item.base ?? 0 }));
  if (strategy.length > 20) throw invalidParameter("A capacity provider strategy can have at most 20 items.");
  for (const item of strategy) {
    if (!FARGATE_PROVIDERS.includes(item.capacityProvider ?? ""))
      throw invalidParameter(`The specified capacity provider '${item.capacityProvider}' was not found.`);
    if (item.weight < 0 || item.weight > 1000) throw invalidParameter("The weight of a capacity provider must be between 0 and 1000.");
    if (item.base < 0 || item.base > 100_000) throw invalidParameter("The base of a capacity provider must be between 0 and 100000.");
  }
  if (new Set(strategy.map((item) => item.capacityProvider)).size !== strategy.length)
    throw invalidParameter("Duplicate capacity providers in the strategy.");
  if (strategy.filter((item) => item.base > 0).length > 1)
    throw invalidParameter("Only one capacity provider in a strategy can have a base defined.");
  if (strategy.length > 1 && strategy.every((item) => item.weight === 0)) {
    throw invalidParameter("At least one capacity provider in the strategy must have a weight greater than 0.");
  }
  return strategy;
}

export interface LaunchChoice {
  readonly launchType?: "FARGATE";
  /** Empty under a launch type. */
  readonly strategy: readonly CapacityProviderStrategyItem[];
}

/**
 * What a request runs on: its strategy, its launch type, or the cluster's default strategy.
 * Differs: AWS falls back to EC2; there are no instances here, so it is FARGATE.
 */
export function chooseLaunch(
  request: { readonly launchType?: string | undefined; readonly capacityProviderStrategy?: readonly CapacityProviderStrategyItem[] | undefined },
  cluster: ClusterRecord,
): LaunchChoice {
  const given = request.capacityProviderStrategy ?? [];
  if (given.length > 0 && request.launchType !== undefined) {
    throw invalidParameter("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.");
  }
  if (request.launchType !== undefined && request.launchType !== "FARGATE") {
    throw notBuilt(`launchType=${request.launchType}`, "tasks run on FARGATE only.");
  }
  if (given.length > 0) {
    const strategy = readStrategy(given);
    const foreign = strategy.find((item) => !cluster.capacityProviders.includes(item.capacityProvider ?? ""));
    if (foreign !== undefined) {
      throw invalidParameter(
        `The specified capacity provider '${foreign.capacityProvider}' is not associated with the cluster. Use PutClusterCapacityProviders to associate it.`,
      );
    }
    return { strategy };
  }
  if (request.launchType === undefined && cluster.defaultCapacityProviderStrategy.length > 0)
    return { strategy: cluster.defaultCapacityProviderStrategy };
  return { launchType: "FARGATE", strategy: [] };
}

/** @throws PlatformUnknownException for a version that Fargate does not have, ClientException for one that is not built. */
export function checkPlatformVersion(version: string | undefined): void {
  if (version === undefined || version === "LATEST" || version === PLATFORM_VERSION) return;
  if (/^1\.[0-3]\.0$/.test(version))
    throw new AwsError(
      "PlatformTaskDefinitionIncompatibilityException",
      `The platform version ${version} is not available for new tasks; use ${PLATFORM_VERSION}.`,
    );
  throw platformUnknown("The specified platform does not exist.");
}
