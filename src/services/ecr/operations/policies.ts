import type {
  GetLifecyclePolicyRequest,
  GetLifecyclePolicyResponse,
  GetRepositoryPolicyRequest,
  GetRepositoryPolicyResponse,
} from "@aws-sdk/client-ecr";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { asEcr } from "../errors.ts";
import { repositoryOf, type EcrRoom } from "../room.ts";

/** Policies cannot be set yet, so there never is one; clients such as Terraform look. */
export function getRepositoryPolicy({ registry }: EcrRoom): Operation<GetRepositoryPolicyRequest, GetRepositoryPolicyResponse> {
  return {
    name: "GetRepositoryPolicy",
    members: { registryId: "used", repositoryName: "used" },
    async handle(input, context) {
      const { name, account } = await asEcr(() => registry.repositories.get(repositoryOf(input, context, "GetRepositoryPolicy")));
      const message = `Repository policy does not exist for the repository with name '${name}' in the registry with id '${account}'`;
      throw new AwsError("RepositoryPolicyNotFoundException", message);
    },
  };
}

/** As with repository policies: there never is one. */
export function getLifecyclePolicy({ registry }: EcrRoom): Operation<GetLifecyclePolicyRequest, GetLifecyclePolicyResponse> {
  return {
    name: "GetLifecyclePolicy",
    members: { registryId: "used", repositoryName: "used" },
    async handle(input, context) {
      const { name, account } = await asEcr(() => registry.repositories.get(repositoryOf(input, context, "GetLifecyclePolicy")));
      const message = `Lifecycle policy does not exist for the repository with name '${name}' in the registry with id '${account}'`;
      throw new AwsError("LifecyclePolicyNotFoundException", message);
    },
  };
}
