import type {
  AddonInfo,
  DescribeAddonConfigurationRequest,
  DescribeAddonConfigurationResponse,
  DescribeAddonVersionsRequest,
  DescribeAddonVersionsResponse,
} from "@aws-sdk/client-eks";
import { imageArchitecture } from "../../../host/architecture.ts";
import { addonNamed, ADDONS, whyNotOffered } from "../addons/catalogue.ts";
import type { AddonDefinition } from "../addons/definition.ts";
import { invalidParameter, resourceNotFound } from "../errors.ts";
import { pageOf } from "../paging.ts";
import { operation } from "../room.ts";
import { CLUSTER_VERSION } from "../versions.ts";

/** The add-ons there are, each in the one version that this Tidegate has. */
export const describeAddonVersions = operation<DescribeAddonVersionsRequest, DescribeAddonVersionsResponse>({
  name: "DescribeAddonVersions",
  members: { kubernetesVersion: "used", maxResults: "used", nextToken: "used", addonName: "used", types: "used", publishers: "used", owners: "used" },
  async handle({ kubernetesVersion = CLUSTER_VERSION, addonName, types, publishers, owners, ...page }) {
    if (addonName !== undefined && addonNamed(addonName) === undefined) throw resourceNotFound(whyNotOffered(addonName), "");
    const matches = (asked: readonly string[] | undefined, value: string): boolean =>
      asked === undefined || asked.length === 0 || asked.includes(value);
    const found = ADDONS.filter(
      ({ name, type, owner }) =>
        kubernetesVersion === CLUSTER_VERSION &&
        (addonName === undefined || name === addonName) &&
        matches(types, type) &&
        matches(publishers, "eks") &&
        matches(owners, owner),
    );
    const { items, nextToken } = pageOf(found, ({ name }) => name, page);
    return { addons: items.map(infoOf), ...(nextToken !== undefined && { nextToken }) };
  },
});

function infoOf({ name, type, owner, version, namespace }: AddonDefinition): AddonInfo {
  return {
    addonName: name,
    type,
    publisher: "eks",
    owner,
    defaultNamespace: namespace,
    addonVersions: [
      {
        addonVersion: version,
        architecture: [imageArchitecture()],
        computeTypes: ["fargate"],
        compatibilities: [{ clusterVersion: CLUSTER_VERSION, platformVersions: ["*"], defaultVersion: true }],
        requiresConfiguration: false,
        requiresIamPermissions: false,
      },
    ],
  };
}

/** @throws ResourceNotFoundException, InvalidParameterException */
export const describeAddonConfiguration = operation<DescribeAddonConfigurationRequest, DescribeAddonConfigurationResponse>({
  name: "DescribeAddonConfiguration",
  members: { addonName: "used", addonVersion: "used" },
  async handle({ addonName = "", addonVersion = "" }) {
    const addon = addonNamed(addonName);
    if (addon === undefined) throw resourceNotFound(whyNotOffered(addonName), "");
    if (addonVersion !== addon.version)
      throw invalidParameter(`Addon version specified is not supported: Tidegate has ${addonName} ${addon.version}`);
    const schema = { $schema: "http://json-schema.org/draft-06/schema#", ...addon.schema };
    return { addonName, addonVersion, configurationSchema: JSON.stringify(schema), podIdentityConfiguration: [] };
  },
});
