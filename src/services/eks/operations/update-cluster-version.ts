import type {
  AssociateEncryptionConfigRequest,
  AssociateEncryptionConfigResponse,
  UpdateClusterVersionRequest,
  UpdateClusterVersionResponse,
} from "@aws-sdk/client-eks";
import { readVersionUpdate } from "../cluster-rules.ts";
import { invalidRequest } from "../errors.ts";
import { CONTROL_PLANES } from "../records.ts";
import { type EksRoom, operation, requireCluster } from "../room.ts";
import { statusOf } from "../views.ts";

/**
 * Refused, in AWS's words: there is one version, and a control plane goes one minor version on, never back.
 * @throws InvalidParameterException, InvalidRequestException
 */
export function updateClusterVersion(room: EksRoom) {
  return operation<UpdateClusterVersionRequest, UpdateClusterVersionResponse>({
    name: "UpdateClusterVersion",
    members: {
      name: "used",
      version: "used",
      clientRequestToken: { ignored: "no update is made, so that none can be made twice" },
      force: { ignored: "no insight holds an update up; that there is no other version does" },
    },
    async handle({ name = "", version }, context) {
      const { key, value: cluster } = await requireCluster(room, context, name);
      const plane = await room.store.get(CONTROL_PLANES, key);
      if (statusOf(cluster, plane?.value) !== "ACTIVE") throw invalidRequest(`Cluster '${name}' is not in ACTIVE status`, name);
      throw readVersionUpdate(cluster, version);
    },
  });
}

/** Refused: Secrets are encrypted anyhow. @throws InvalidRequestException, ResourceNotFoundException */
export function associateEncryptionConfig(room: EksRoom) {
  return operation<AssociateEncryptionConfigRequest, AssociateEncryptionConfigResponse>({
    name: "AssociateEncryptionConfig",
    members: { clusterName: "used", encryptionConfig: "used", clientRequestToken: { ignored: "nothing is made, so that nothing can be made twice" } },
    async handle({ clusterName = "" }, context) {
      await requireCluster(room, context, clusterName);
      throw invalidRequest("There is no KMS; Secrets are encrypted in etcd with a key of the cluster's own", clusterName);
    },
  });
}
