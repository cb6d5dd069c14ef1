import type { Store, Stored } from "../../../contracts/store.ts";
import { type ClusterRecord, type ControlPlaneRecord, IDENTITY_PROVIDERS, type IdentityProviderRecord, recordPrefix } from "../records.ts";

/** The one that a cluster may have, also while it goes. */
export async function providerOf(store: Store, cluster: ClusterRecord): Promise<Stored<IdentityProviderRecord> | undefined> {
  return (await store.list(IDENTITY_PROVIDERS, { prefix: recordPrefix(cluster) }))[0];
}

/** The id of the provider that the API server should go by; "": none. Pure. */
export function wantedProvider(provider: IdentityProviderRecord | undefined): string {
  return provider === undefined || provider.deletingSinceMs !== undefined ? "" : provider.id;
}

/** Whether the API server does not go by it yet, or does still. Pure. */
export function isProviderDue(provider: IdentityProviderRecord | undefined, plane: ControlPlaneRecord | undefined): boolean {
  return provider?.deletingSinceMs !== undefined || (plane?.identityProvider ?? "") !== wantedProvider(provider);
}
