import type { RequestContext } from "../../contracts/service.ts";
import { formatArn, parseArn } from "../../core/arn.ts";
import { AwsError } from "../../core/aws-error.ts";
import { invalidParameter } from "./errors.ts";
import type { ImageRegistry, RepositoryRef } from "./ports.ts";

/** What the operations share. */
export interface EcrRoom {
  readonly registry: ImageRegistry;
  /** The registry's port: repositories are `localhost:<port>/<name>`. */
  readonly port: number;
}

/**
 * The repository that a request names. Another account's registry would need a repository policy, which is not built.
 * @throws AwsError `AccessDeniedException`.
 */
export function repositoryOf(
  input: { readonly registryId?: string | undefined; readonly repositoryName: string | undefined },
  context: RequestContext,
  operation: string,
): RepositoryRef {
  const repository = { account: context.account, region: context.region, name: input.repositoryName ?? "" };
  checkRegistry(input.registryId, context, { operation, repositoryName: repository.name });
  return repository;
}

/** @throws AwsError `AccessDeniedException` for another account's registry. */
export function checkRegistry(
  registryId: string | undefined,
  context: RequestContext,
  what: { readonly operation: string; readonly repositoryName: string },
): void {
  if (registryId === undefined || registryId === context.account) return;
  const action = `ecr:${what.operation}`;
  const resource = formatArn({ service: "ecr", region: context.region, account: registryId, resource: `repository/${what.repositoryName}` });
  const message = `User: ${context.principal.arn} is not authorized to perform: ${action} on resource: ${resource} because no resource-based policy allows the ${action} action`;
  throw new AwsError("AccessDeniedException", message);
}

export function repositoryArn(repository: RepositoryRef): string {
  return formatArn({ service: "ecr", region: repository.region, account: repository.account, resource: `repository/${repository.name}` });
}

/** The repository of an ARN in the caller's own account and region. @throws AwsError `InvalidParameterException`, `RepositoryNotFoundException`. */
export function repositoryOfArn(text: string | undefined, context: RequestContext): RepositoryRef {
  const arn = parseArn(text ?? "");
  if (arn === undefined || arn.service !== "ecr" || !arn.resource.startsWith("repository/")) {
    throw invalidParameter(`Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'`);
  }
  const name = arn.resource.slice("repository/".length);
  if (arn.account !== context.account || arn.region !== context.region) {
    const message = `The repository with name '${name}' does not exist in the registry with id '${arn.account}'`;
    throw new AwsError("RepositoryNotFoundException", message);
  }
  return { account: arn.account, region: arn.region, name };
}
