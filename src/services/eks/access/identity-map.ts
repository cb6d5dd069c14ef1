import type { Store } from "../../../contracts/store.ts";
import { AWS_AUTH, type ClusterRecord, CLUSTERS, recordPrefix } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { type AwsAuth, NO_AWS_AUTH, readAwsAuth } from "./aws-auth.ts";

/** The ConfigMap `kube-system/aws-auth` of a cluster, as its API server has it. */
export interface AwsAuthMap {
  readonly data: Readonly<Record<string, string>>;
  readonly resourceVersion: string;
}

export interface IdentityMap {
  /**
   * Takes it over as it is now; `undefined`: there is none. Answers what is wrong with it, in words; nothing where it was taken over before. Idempotent.
   */
  put(clusterKey: string, map: AwsAuthMap | undefined): Promise<readonly string[]>;
}

/** Whom clusters' ConfigMaps let in is kept here, so that it holds from the first moment of the next start. */
export function createIdentityMap(room: EksRoom): IdentityMap {
  return {
    async put(clusterKey, map) {
      const cluster = (await room.store.get(CLUSTERS, clusterKey))?.value;
      if (cluster === undefined) return [];
      const key = awsAuthKey(cluster);
      const known = await room.store.get(AWS_AUTH, key);
      if (map === undefined) {
        if (known !== undefined) await room.store.transact([{ op: "delete", collection: AWS_AUTH, key }]);
        return [];
      }
      if (known?.value.resourceVersion === map.resourceVersion) return [];
      // The library is loaded with the first such ConfigMap.
      const { loadAll } = await import("js-yaml");
      const { auth, faults } = readAwsAuth(map.data, { last: known?.value ?? NO_AWS_AUTH, parse: (text) => loadAll(text)[0] });
      await room.store.transact([{ op: "put", collection: AWS_AUTH, key, value: { ...auth, resourceVersion: map.resourceVersion } }]);
      return faults;
    },
  };
}

/** Nobody, where the cluster goes by access entries alone. */
export async function awsAuthOf(store: Store, cluster: ClusterRecord): Promise<AwsAuth> {
  if (cluster.authenticationMode === "API") return NO_AWS_AUTH;
  return (await store.get(AWS_AUTH, awsAuthKey(cluster)))?.value ?? NO_AWS_AUTH;
}

export function awsAuthKey(cluster: ClusterRecord): string {
  return `${recordPrefix(cluster)}aws-auth`;
}
