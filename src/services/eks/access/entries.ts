import type { Store, Stored } from "../../../contracts/store.ts";
import { invalidRequest, resourceNotFound } from "../errors.ts";
import { withoutPath } from "../names.ts";
import { ACCESS_ENTRIES, accessEntryPrefix, type AccessEntryRecord, type ClusterRecord } from "../records.ts";

export function accessEntryKey(cluster: ClusterRecord, principalArn: string): string {
  return `${accessEntryPrefix(cluster)}${principalArn}`;
}

export function accessEntriesOf(store: Store, cluster: ClusterRecord): Promise<readonly Stored<AccessEntryRecord>[]> {
  return store.list(ACCESS_ENTRIES, { prefix: accessEntryPrefix(cluster) });
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
