import type { Store, Stored, Write } from "../../../contracts/store.ts";
import type { Ids } from "../../../core/ids.ts";
import { invalidRequest, resourceNotFound } from "../errors.ts";
import { withoutPath } from "../names.ts";
import { ADMINISTRATOR_POLICY, defaultUsername } from "./entry-rules.ts";
import { ACCESS_ENTRIES, type AccessEntryRecord, type ClusterRecord, recordPrefix } from "../records.ts";

export function accessEntryKey(cluster: ClusterRecord, principalArn: string): string {
  return `${recordPrefix(cluster)}${principalArn}`;
}

export function accessEntriesOf(store: Store, cluster: ClusterRecord): Promise<readonly Stored<AccessEntryRecord>[]> {
  return store.list(ACCESS_ENTRIES, { prefix: recordPrefix(cluster) });
}

/** The entry for an identity (a role without its session); none where the cluster goes by its ConfigMap alone. */
export async function entryFor(store: Store, cluster: ClusterRecord, canonicalArn: string): Promise<AccessEntryRecord | undefined> {
  if (cluster.authenticationMode === "CONFIG_MAP") return undefined;
  const entries = await accessEntriesOf(store, cluster);
  return entries.find(({ value }) => withoutPath(value.principalArn) === canonicalArn)?.value;
}

/** @throws InvalidRequestException where the cluster goes by its ConfigMap alone. */
export function requireEntries(cluster: ClusterRecord): void {
  if (cluster.authenticationMode !== "CONFIG_MAP") return;
  const message = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
  throw invalidRequest(message, cluster.name);
}

/** @throws ResourceNotFoundException, InvalidRequestException */
export async function requireEntry(store: Store, cluster: ClusterRecord, principalArn: string): Promise<Stored<AccessEntryRecord>> {
  requireEntries(cluster);
  const found = await store.get(ACCESS_ENTRIES, accessEntryKey(cluster, principalArn));
  if (found !== undefined) return found;
  const message = "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.";
  throw resourceNotFound(message, cluster.name);
}

/** Where access goes by entries, the creator's is the first, with all rights. */
export function creatorsEntry(ids: Ids, cluster: ClusterRecord): readonly Write[] {
  if (cluster.authenticationMode === "CONFIG_MAP" || !cluster.creatorIsAdmin) return [];
  const { creatorArn: principalArn, createdAtMs } = cluster;
  const value: AccessEntryRecord = {
    principalArn,
    id: ids.uuid(),
    username: defaultUsername(principalArn),
    groups: [],
    tags: {},
    createdAtMs,
    modifiedAtMs: createdAtMs,
    policies: [{ policyArn: ADMINISTRATOR_POLICY, associatedAtMs: createdAtMs, modifiedAtMs: createdAtMs }],
  };
  return [{ op: "create", collection: ACCESS_ENTRIES, key: accessEntryKey(cluster, principalArn), value }];
}
