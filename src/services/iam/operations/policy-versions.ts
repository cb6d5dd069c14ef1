import type {
  CreatePolicyVersionRequest,
  CreatePolicyVersionResponse,
  DeletePolicyVersionRequest,
  GetPolicyVersionRequest,
  GetPolicyVersionResponse,
  ListPolicyVersionsRequest,
  ListPolicyVersionsResponse,
  SetDefaultPolicyVersionRequest,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import type { Store } from "../../../contracts/store.ts";
import { operation, retryConflicts } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { checkDocument } from "../documents.ts";
import { deleteConflict, invalidInput, limitExceeded, noSuchEntity } from "../errors.ts";
import { MANAGED_CREATED_AT_MS, MANAGED_POLICIES } from "../managed-policies.ts";
import type { ManagedPolicy } from "../managed-policies.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { POLICIES } from "../records.ts";
import type { PolicyRecord, PolicyVersionRecord } from "../records.ts";
import { versionView } from "../views.ts";
import { getPolicy } from "./policies.ts";

const MAX_VERSIONS = 5;

/** The versions of managed policies. */
export function policyVersionOperations({ store }: IamRoom): readonly Operation<never>[] {
  return [
    operation<GetPolicyVersionRequest, GetPolicyVersionResponse>({
      name: "GetPolicyVersion",
      members: { PolicyArn: "used", VersionId: "used" },
      async handle(input, { account }) {
        const managed = MANAGED_POLICIES.get(input.PolicyArn!);
        if (managed !== undefined) return { PolicyVersion: managedVersion(managed, input.VersionId!) };
        const { value: policy } = await getPolicy(store, account, input.PolicyArn!);
        return { PolicyVersion: versionView(versionOf(policy, input.VersionId!), policy.defaultVersionId, true) };
      },
    }),
    operation<ListPolicyVersionsRequest, ListPolicyVersionsResponse>({
      name: "ListPolicyVersions",
      members: { PolicyArn: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const managed = MANAGED_POLICIES.get(input.PolicyArn!);
        if (managed !== undefined) {
          return { Versions: [{ VersionId: "v1", IsDefaultVersion: true, CreateDate: new Date(MANAGED_CREATED_AT_MS) }], IsTruncated: false };
        }
        const { value: policy } = await getPolicy(store, account, input.PolicyArn!);
        const { items, ...page } = pageOf(sortedBy(policy.versions, newestFirst), input, newestFirst);
        return { Versions: items.map((version) => versionView(version, policy.defaultVersionId, false)), ...page };
      },
    }),
    operation<CreatePolicyVersionRequest, CreatePolicyVersionResponse>({
      name: "CreatePolicyVersion",
      members: { PolicyArn: "used", PolicyDocument: "used", SetAsDefault: "used" },
      async handle(input, { account, nowMs }) {
        checkDocument(input.PolicyDocument!, "identity");
        const policy = await updatePolicy(store, account, input.PolicyArn!, (before) => {
          if (before.versions.length >= MAX_VERSIONS) throw limitExceeded("VersionsPerPolicy", MAX_VERSIONS);
          const id = `v${before.nextVersion}`;
          return {
            ...before,
            updatedAtMs: nowMs,
            nextVersion: before.nextVersion + 1,
            versions: [...before.versions, { id, document: input.PolicyDocument!, createdAtMs: nowMs }],
            defaultVersionId: input.SetAsDefault === true ? id : before.defaultVersionId,
          };
        });
        return { PolicyVersion: versionView(policy.versions.at(-1)!, policy.defaultVersionId, false) };
      },
    }),
    operation<DeletePolicyVersionRequest, void>({
      name: "DeletePolicyVersion",
      members: { PolicyArn: "used", VersionId: "used" },
      async handle(input, { account, nowMs }) {
        await updatePolicy(store, account, input.PolicyArn!, (before) => {
          const version = versionOf(before, input.VersionId!);
          if (version.id === before.defaultVersionId) throw deleteConflict("Cannot delete the default version of a policy.");
          return { ...before, updatedAtMs: nowMs, versions: before.versions.filter(({ id }) => id !== version.id) };
        });
      },
    }),
    operation<SetDefaultPolicyVersionRequest, void>({
      name: "SetDefaultPolicyVersion",
      members: { PolicyArn: "used", VersionId: "used" },
      async handle(input, { account, nowMs }) {
        await updatePolicy(store, account, input.PolicyArn!, (before) => ({
          ...before,
          updatedAtMs: nowMs,
          defaultVersionId: versionOf(before, input.VersionId!).id,
        }));
      },
    }),
  ];
}

function updatePolicy(store: Store, account: string, arn: string, change: (policy: PolicyRecord) => PolicyRecord): Promise<PolicyRecord> {
  return retryConflicts(async () => {
    const { value, key, revision } = await getPolicy(store, account, arn);
    const changed = change(value);
    await store.transact([{ op: "update", collection: POLICIES, key, value: changed, ifRevision: revision }]);
    return changed;
  });
}

function versionOf(policy: PolicyRecord, id: string): PolicyVersionRecord {
  const version = policy.versions.find((candidate) => candidate.id === id);
  if (version === undefined) throw noSuchVersion(policy.arn, id);
  return version;
}

function noSuchVersion(arn: string, id: string): Error {
  return noSuchEntity(`Policy ${arn} version ${id} does not exist or is not attachable.`);
}

function managedVersion(policy: ManagedPolicy, id: string): ReturnType<typeof versionView> {
  if (id !== "v1") throw noSuchVersion(policy.arn, id);
  if (policy.document === undefined)
    throw invalidInput(`Tidegate knows the AWS-managed policy ${policy.name} by its name and does not hold its document.`);
  return versionView({ id, document: policy.document, createdAtMs: MANAGED_CREATED_AT_MS }, id, true);
}

/** Sorts `v10` before `v9`. */
function newestFirst(version: PolicyVersionRecord): string {
  return String(1_000_000 - Number(version.id.slice(1))).padStart(7, "0");
}
