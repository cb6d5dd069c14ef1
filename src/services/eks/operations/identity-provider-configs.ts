import type {
  AssociateIdentityProviderConfigRequest,
  AssociateIdentityProviderConfigResponse,
  DescribeIdentityProviderConfigRequest,
  DescribeIdentityProviderConfigResponse,
  DisassociateIdentityProviderConfigRequest,
  DisassociateIdentityProviderConfigResponse,
  IdentityProviderConfig,
  ListIdentityProviderConfigsRequest,
  ListIdentityProviderConfigsResponse,
  OidcIdentityProviderConfig,
} from "@aws-sdk/client-eks";
import { AwsError } from "../../../core/aws-error.ts";
import type { Stored, Write } from "../../../contracts/store.ts";
import { invalidParameter, invalidRequest, resourceInUse, resourceNotFound } from "../errors.ts";
import { isProviderDue, providerOf } from "../identity-provider/providers.ts";
import { readOidc } from "../identity-provider/rules.ts";
import { identityProviderArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import {
  type ClusterRecord,
  CONTROL_PLANES,
  type ControlPlaneRecord,
  IDENTITY_PROVIDERS,
  type IdentityProviderRecord,
  recordPrefix,
  type UpdateRecord,
  UPDATES,
} from "../records.ts";
import { type EksRoom, operation, requireCluster } from "../room.ts";
import { faultOfTags } from "../tags.ts";
import { statusOf } from "../views.ts";
import { updateView } from "./updates.ts";

const WHICH = { "identityProviderConfig.type": "used", "identityProviderConfig.name": "used" } as const;

function view(provider: IdentityProviderRecord, plane: ControlPlaneRecord | undefined): OidcIdentityProviderConfig {
  const { clusterName, name, issuerUrl, clientId, usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = provider;
  const state = provider.deletingSinceMs === undefined ? (isProviderDue(provider, plane) ? "CREATING" : "ACTIVE") : "DELETING";
  return {
    identityProviderConfigName: name,
    identityProviderConfigArn: identityProviderArn(provider),
    clusterName,
    issuerUrl,
    clientId,
    usernameClaim,
    usernamePrefix,
    groupsClaim,
    groupsPrefix,
    requiredClaims: { ...provider.requiredClaims },
    tags: { ...provider.tags },
    status: state,
  };
}

/** @throws ResourceNotFoundException, InvalidParameterException */
async function requireProvider(
  room: EksRoom,
  cluster: ClusterRecord,
  config: IdentityProviderConfig | undefined,
): Promise<Stored<IdentityProviderRecord>> {
  if (config?.type !== "oidc") throw invalidParameter(`Identity provider configs have the type oidc, not ${config?.type}`, cluster.name);
  const found = await providerOf(room.store, cluster);
  if (found !== undefined && found.value.name === config.name) return found;
  throw resourceNotFound(`Identity provider config is not associated with cluster ${cluster.name}: ${config.name}`, cluster.name);
}

function updateOf(room: EksRoom, nowMs: number, { type, name }: { readonly type: UpdateRecord["type"]; readonly name: string }): UpdateRecord {
  const value = JSON.stringify({ type: "oidc", name });
  return { id: room.ids.uuid(), type, parameter: { type: "IdentityProviderConfig", value }, createdAtMs: nowMs };
}

const kept = (cluster: ClusterRecord, update: UpdateRecord): Write => ({
  op: "create",
  collection: UPDATES,
  key: `${recordPrefix(cluster)}${update.id}`,
  value: update,
});

/**
 * Lets users of an OIDC provider in, beside those of AWS, once the API server has its name; it fetches the provider's keys by itself.
 * Differs: a provider is trusted whose certificate this host trusts; that it can be reached is not checked beforehand.
 * @throws InvalidParameterException, InvalidRequestException, ResourceLimitExceededException, ResourceInUseException
 */
export function associateIdentityProviderConfig(room: EksRoom) {
  return operation<AssociateIdentityProviderConfigRequest, AssociateIdentityProviderConfigResponse>({
    name: "AssociateIdentityProviderConfig",
    members: { clusterName: "used", oidc: "used", tags: "used", clientRequestToken: "used" },
    async handle({ clusterName = "", oidc, tags = {}, clientRequestToken: token = "" }, context) {
      const { key, value: cluster } = await requireCluster(room, context, clusterName);
      const name = oidc?.identityProviderConfigName ?? "";
      if (!/^[A-Za-z0-9][\w-]{0,99}$/.test(name))
        throw invalidParameter("The identity provider config name contains invalid characters", clusterName);
      const fault = faultOfTags(tags);
      if (fault !== undefined) throw invalidParameter(fault, clusterName);
      const config = readOidc(cluster, oidc ?? { identityProviderConfigName: "", issuerUrl: "", clientId: "" });
      const plane = await room.store.get(CONTROL_PLANES, key);
      if (statusOf(cluster, plane?.value) !== "ACTIVE") throw invalidRequest(`Cluster '${clusterName}' is not in ACTIVE status`, clusterName);
      const known = (await providerOf(room.store, cluster))?.value;
      if (known?.name === name) throw resourceInUse(`Identity provider config already exists with name ${name}`, clusterName);
      if (known !== undefined)
        throw new AwsError(
          "ResourceLimitExceededException",
          `Cluster ${clusterName} has the one identity provider config that it can have: ${known.name}`,
        );
      const { account, region } = cluster;
      const times = { createdAtMs: context.nowMs, token };
      const value: IdentityProviderRecord = { account, region, clusterName, name, id: room.ids.uuid(), ...config, tags: { ...tags }, ...times };
      const update = updateOf(room, context.nowMs, { type: "AssociateIdentityProviderConfig", name });
      await room.store.transact([
        { op: "create", collection: IDENTITY_PROVIDERS, key: `${recordPrefix(cluster)}${name}`, value },
        kept(cluster, update),
      ]);
      return { update: updateView(update, false), tags: { ...tags } };
    },
  });
}

/** Its users are nobody once the API server has let go of it. @throws ResourceNotFoundException, ResourceInUseException */
export function disassociateIdentityProviderConfig(room: EksRoom) {
  return operation<DisassociateIdentityProviderConfigRequest, DisassociateIdentityProviderConfigResponse>({
    name: "DisassociateIdentityProviderConfig",
    members: { clusterName: "used", ...WHICH, clientRequestToken: { ignored: "what goes already cannot go twice" } },
    async handle({ clusterName = "", identityProviderConfig }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { key, value, revision } = await requireProvider(room, cluster, identityProviderConfig);
      if (value.deletingSinceMs !== undefined) throw resourceInUse(`Identity provider config ${value.name} is being disassociated`, clusterName);
      const update = updateOf(room, context.nowMs, { type: "DisassociateIdentityProviderConfig", name: value.name });
      const gone = { ...value, deletingSinceMs: context.nowMs };
      await room.store.transact([{ op: "update", collection: IDENTITY_PROVIDERS, key, value: gone, ifRevision: revision }, kept(cluster, update)]);
      return { update: updateView(update, false) };
    },
  });
}

export function describeIdentityProviderConfig(room: EksRoom) {
  return operation<DescribeIdentityProviderConfigRequest, DescribeIdentityProviderConfigResponse>({
    name: "DescribeIdentityProviderConfig",
    members: { clusterName: "used", ...WHICH },
    async handle({ clusterName = "", identityProviderConfig }, context) {
      const { key, value: cluster } = await requireCluster(room, context, clusterName);
      const { value } = await requireProvider(room, cluster, identityProviderConfig);
      const plane = await room.store.get(CONTROL_PLANES, key);
      return { identityProviderConfig: { oidc: view(value, plane?.value) } };
    },
  });
}

export function listIdentityProviderConfigs(room: EksRoom) {
  return operation<ListIdentityProviderConfigsRequest, ListIdentityProviderConfigsResponse>({
    name: "ListIdentityProviderConfigs",
    members: { clusterName: "used", maxResults: "used", nextToken: "used" },
    async handle({ clusterName = "", ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const found = await providerOf(room.store, cluster);
      const { items, nextToken } = pageOf(found === undefined ? [] : [found.value], ({ name }) => name, page);
      return { identityProviderConfigs: items.map(({ name }) => ({ type: "oidc", name })), ...(nextToken !== undefined && { nextToken }) };
    },
  });
}
