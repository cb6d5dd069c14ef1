import type { AccessKeyMetadata, Policy, PolicyVersion, Role, Tag, User } from "@aws-sdk/client-iam";
import { encodeDocument } from "./documents.ts";
import { roleArn, userArn } from "./identifiers.ts";
import { MANAGED_CREATED_AT_MS } from "./managed-policies.ts";
import type { ManagedPolicy } from "./managed-policies.ts";
import type { AccessKeyRecord, PolicyRecord, PolicyVersionRecord, RoleRecord, TagRecord, UserRecord } from "./records.ts";

/** Records as the API shows them. */

export function tagsView(tags: readonly TagRecord[]): Tag[] {
  return tags.map(({ key, value }) => ({ Key: key, Value: value }));
}

export function tagRecords(tags: readonly Tag[] | undefined): readonly TagRecord[] {
  return (tags ?? []).map(({ Key, Value }) => ({ key: Key ?? "", value: Value ?? "" }));
}

/** As ListRoles shows it: without tags and last use. */
export function roleListView(role: RoleRecord): Role {
  return {
    Path: role.path,
    RoleName: role.name,
    RoleId: role.id,
    Arn: roleArn(role),
    CreateDate: new Date(role.createdAtMs),
    AssumeRolePolicyDocument: encodeDocument(role.trustPolicy),
    Description: role.description,
    MaxSessionDuration: role.maxSessionSeconds,
  };
}

export function roleView(role: RoleRecord): Role {
  return { ...roleListView(role), ...(role.tags.length > 0 && { Tags: tagsView(role.tags) }), RoleLastUsed: {} };
}

export function policyListView(policy: PolicyRecord, attachmentCount: number): Policy {
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: policy.defaultVersionId,
    AttachmentCount: attachmentCount,
    PermissionsBoundaryUsageCount: 0,
    IsAttachable: true,
    CreateDate: new Date(policy.createdAtMs),
    UpdateDate: new Date(policy.updatedAtMs),
  };
}

export function policyView(policy: PolicyRecord, attachmentCount: number): Policy {
  return { ...policyListView(policy, attachmentCount), Description: policy.description, Tags: tagsView(policy.tags) };
}

export function managedPolicyView(policy: ManagedPolicy, attachmentCount: number): Policy {
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: "v1",
    AttachmentCount: attachmentCount,
    PermissionsBoundaryUsageCount: 0,
    IsAttachable: true,
    CreateDate: new Date(MANAGED_CREATED_AT_MS),
    UpdateDate: new Date(MANAGED_CREATED_AT_MS),
  };
}

/** ListPolicyVersions leaves the document out. */
export function versionView(version: PolicyVersionRecord, defaultVersionId: string, withDocument: boolean): PolicyVersion {
  return {
    ...(withDocument && { Document: encodeDocument(version.document) }),
    VersionId: version.id,
    IsDefaultVersion: version.id === defaultVersionId,
    CreateDate: new Date(version.createdAtMs),
  };
}

export function userView(user: UserRecord): User {
  return {
    Path: user.path,
    UserName: user.name,
    UserId: user.id,
    Arn: userArn(user),
    CreateDate: new Date(user.createdAtMs),
    ...(user.tags.length > 0 && { Tags: tagsView(user.tags) }),
  };
}

export function accessKeyView(key: AccessKeyRecord): AccessKeyMetadata {
  return { UserName: key.userName, AccessKeyId: key.accessKeyId, Status: key.status, CreateDate: new Date(key.createdAtMs) };
}
