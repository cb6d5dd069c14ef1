import { formatArn, parseArn } from "../../core/arn.ts";
import type { Scope } from "../../core/scope.ts";
import type { ClusterRecord } from "./records.ts";

export function clusterArn({ account, region, name }: Scope & { readonly name: string }): string {
  return formatArn({ service: "eks", region, account, resource: `cluster/${name}` });
}

/** The cluster that an ARN names; `undefined` when it names none. */
export function parseClusterArn(text: string): (Scope & { readonly name: string }) | undefined {
  const arn = parseArn(text);
  const [, name] = /^cluster\/([^/]+)$/.exec(arn?.resource ?? "") ?? [];
  return arn?.service === "eks" && name !== undefined ? { account: arn.account, region: arn.region, name } : undefined;
}

/** Of service accounts' tokens, in AWS's form; see docs/adr/0024-pods-and-iam-roles.md for what is served there. */
export function issuerOf({ region, oidcId }: ClusterRecord): string {
  return `https://oidc.eks.${region}.amazonaws.com/id/${oidcId}`;
}

/** The group of everything that belongs to the cluster, and the one that lets clients reach its API server. */
export function groupNamesOf({ name, groupSuffix }: ClusterRecord): { readonly cluster: string; readonly endpoint: string } {
  return { cluster: `eks-cluster-sg-${name}-${groupSuffix}`, endpoint: `eks-endpoint-sg-${name}-${groupSuffix}` };
}

/** Of an access entry: `access-entry/<cluster>/<role|user>/<account>/<name>/<id>`. */
export function accessEntryArn(
  cluster: Scope & { readonly name: string },
  { principalArn, id }: { readonly principalArn: string; readonly id: string },
): string {
  const [, account = "", resource = ""] = /^arn:[^:]+:iam::(\d+):(.+)$/.exec(principalArn) ?? [];
  const [kind = "", ...path] = resource.split("/");
  const parts = ["access-entry", cluster.name, kind, account, path.at(-1) ?? kind, id];
  return formatArn({ service: "eks", region: cluster.region, account: cluster.account, resource: parts.join("/") });
}

export function fargateProfileArn({
  account,
  region,
  clusterName,
  name,
  id,
}: Scope & { readonly clusterName: string; readonly name: string; readonly id: string }): string {
  return formatArn({ service: "eks", region, account, resource: `fargateprofile/${clusterName}/${name}/${id}` });
}

export function podIdentityAssociationArn({
  account,
  region,
  clusterName,
  id,
}: Scope & { readonly clusterName: string; readonly id: string }): string {
  return formatArn({ service: "eks", region, account, resource: `podidentityassociation/${clusterName}/${id}` });
}

export function addonArn({
  account,
  region,
  clusterName,
  name,
  id,
}: Scope & { readonly clusterName: string; readonly name: string; readonly id: string }): string {
  return formatArn({ service: "eks", region, account, resource: `addon/${clusterName}/${name}/${id}` });
}

export function identityProviderArn({
  account,
  region,
  clusterName,
  name,
  id,
}: Scope & { readonly clusterName: string; readonly name: string; readonly id: string }): string {
  return formatArn({ service: "eks", region, account, resource: `identityproviderconfig/${clusterName}/oidc/${name}/${id}` });
}

/** A role's ARN without its path; anything else as it is. */
export function withoutPath(arn: string): string {
  return arn.replace(/^(arn:[^:]+:iam::\d+:role)\/(?:.*\/)?([^/]+)$/, "$1/$2");
}

/** A role's session as the role, without its path; anything else as it is. */
export function canonicalArn(arn: string): string {
  const [, partition, account, role] = /^arn:([^:]+):sts::(\d+):assumed-role\/([^/]+)\//.exec(arn) ?? [];
  return role === undefined ? arn : `arn:${partition}:iam::${account}:role/${role}`;
}

/** The common name by which a cluster's API server calls nodes; theirs to know it by. */
export const API_SERVER_AT_NODES = "kube-apiserver-kubelet-client";

/** The common name by which servers behind the API server know it. */
export const FRONT_PROXY_CLIENT = "front-proxy-client";
