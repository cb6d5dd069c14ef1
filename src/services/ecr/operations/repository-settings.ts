import type {
  ImageTagMutabilityExclusionFilter,
  PutImageScanningConfigurationRequest,
  PutImageScanningConfigurationResponse,
  PutImageTagMutabilityRequest,
  PutImageTagMutabilityResponse,
} from "@aws-sdk/client-ecr";
import type { MemberTreatment, Operation } from "../../../contracts/service.ts";
import { asEcr, invalidParameter } from "../errors.ts";
import type { TagMutability } from "../ports.ts";
import { repositoryOf, type EcrRoom } from "../room.ts";
import { exclusionsView } from "../views.ts";

/** Scanning is not built, so only its absence can be asked for. */
export const SCANNING_REFUSED: MemberTreatment = { refused: "image scanning is not supported", unless: [false] };

/** The mutability that a request asks for. @throws AwsError `InvalidParameterException` when filters and mode do not fit. */
export function mutabilityOf(input: {
  readonly imageTagMutability?: TagMutability | undefined;
  readonly imageTagMutabilityExclusionFilters?: readonly ImageTagMutabilityExclusionFilter[] | undefined;
}): { readonly tagMutability: TagMutability; readonly mutabilityExclusions: readonly string[] } {
  const tagMutability = input.imageTagMutability ?? "MUTABLE";
  const mutabilityExclusions = (input.imageTagMutabilityExclusionFilters ?? []).map((filter) => filter.filter ?? "");
  if (tagMutability.endsWith("_WITH_EXCLUSION") !== mutabilityExclusions.length > 0) {
    throw invalidParameter(
      "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: " +
        "'must be given with IMMUTABLE_WITH_EXCLUSION and MUTABLE_WITH_EXCLUSION, and only with these'",
    );
  }
  return { tagMutability, mutabilityExclusions };
}

/** Holds from now on, for docker pushes as for PutImage. */
export function putImageTagMutability({ registry }: EcrRoom): Operation<PutImageTagMutabilityRequest, PutImageTagMutabilityResponse> {
  return {
    name: "PutImageTagMutability",
    members: { registryId: "used", repositoryName: "used", imageTagMutability: "used", imageTagMutabilityExclusionFilters: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "PutImageTagMutability");
      const changed = await asEcr(() => registry.repositories.update(repository, mutabilityOf(input)));
      return {
        registryId: repository.account,
        repositoryName: repository.name,
        imageTagMutability: changed.tagMutability,
        ...exclusionsView(changed.mutabilityExclusions),
      };
    },
  };
}

/** Turns scanning off, which it is; turning it on is refused by name. */
export function putImageScanningConfiguration({
  registry,
}: EcrRoom): Operation<PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse> {
  return {
    name: "PutImageScanningConfiguration",
    members: {
      registryId: "used",
      repositoryName: "used",
      imageScanningConfiguration: "used",
      "imageScanningConfiguration.scanOnPush": SCANNING_REFUSED,
    },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "PutImageScanningConfiguration");
      await asEcr(() => registry.repositories.get(repository));
      return { registryId: repository.account, repositoryName: repository.name, imageScanningConfiguration: { scanOnPush: false } };
    },
  };
}
