import type {
  AccessEntry,
  CreateAccessEntryRequest,
  CreateAccessEntryResponse,
  DeleteAccessEntryRequest,
  DeleteAccessEntryResponse,
  DescribeAccessEntryRequest,
  DescribeAccessEntryResponse,
  ListAccessEntriesRequest,
  ListAccessEntriesResponse,
  UpdateAccessEntryRequest,
  UpdateAccessEntryResponse,
} from "@aws-sdk/client-eks";
import { isProblem } from "../../../core/problem.ts";
import { accessEntriesOf, accessEntryKey, requireEntries, requireEntry } from "../access/entries.ts";
import { checkPrincipal, readGroups, readUsername } from "../access/entry-rules.ts";
import { invalidParameter, resourceInUse } from "../errors.ts";
import { accessEntryArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import { ACCESS_ENTRIES, type AccessEntryRecord, type ClusterRecord } from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";
import { faultOfTags } from "../tags.ts";

const ONE_CALL = "creating the same entry twice is refused by its principal";

function entryView(cluster: ClusterRecord, entry: AccessEntryRecord): AccessEntry {
  return {
    clusterName: cluster.name,
    principalArn: entry.principalArn,
    kubernetesGroups: [...entry.groups],
    accessEntryArn: accessEntryArn(cluster, entry),
    createdAt: new Date(entry.createdAtMs),
    modifiedAt: new Date(entry.modifiedAtMs),
    tags: { ...entry.tags },
    username: entry.username,
    type: "STANDARD",
  };
}

/** Lets an identity in; what it may do come by its groups (RBAC) and by access policies. @throws InvalidParameterException, ResourceInUseException */
export function createAccessEntry(room: EksRoom) {
  return operation<CreateAccessEntryRequest, CreateAccessEntryResponse>({
    name: "CreateAccessEntry",
    members: {
      clusterName: "used",
      principalArn: "used",
      kubernetesGroups: "used",
      tags: "used",
      clientRequestToken: { ignored: ONE_CALL },
      username: "used",
      type: { refused: "there are no nodes whose roles could be let in", unless: ["STANDARD"] },
    },
    async handle({ clusterName = "", principalArn = "", kubernetesGroups, tags = {}, username }, context) {
      const groups = readGroups(kubernetesGroups);
      const name = readUsername(username, principalArn);
      const fault = faultOfTags(tags);
      if (fault !== undefined) throw invalidParameter(fault, clusterName);
      const { value: cluster } = await requireCluster(room, context, clusterName);
      requireEntries(cluster);
      await checkPrincipal(room.ports.roles, principalArn);
      const { nowMs } = context;
      const times = { createdAtMs: nowMs, modifiedAtMs: nowMs };
      const value: AccessEntryRecord = { principalArn, id: room.ids.uuid(), username: name, groups, tags: { ...tags }, ...times, policies: [] };
      try {
        await room.store.transact([{ op: "create", collection: ACCESS_ENTRIES, key: accessEntryKey(cluster, principalArn), value }]);
      } catch (error) {
        if (!isProblem(error, "already-exists")) throw error;
        throw resourceInUse("The specified access entry resource is already in use on this cluster.", clusterName);
      }
      return { accessEntry: entryView(cluster, value) };
    },
  });
}

export function describeAccessEntry(room: EksRoom) {
  return operation<DescribeAccessEntryRequest, DescribeAccessEntryResponse>({
    name: "DescribeAccessEntry",
    members: { clusterName: "used", principalArn: "used" },
    async handle({ clusterName = "", principalArn = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      return { accessEntry: entryView(cluster, (await requireEntry(room.store, cluster, principalArn)).value) };
    },
  });
}

/** Members that are left out stay as they are. */
export function updateAccessEntry(room: EksRoom) {
  return operation<UpdateAccessEntryRequest, UpdateAccessEntryResponse>({
    name: "UpdateAccessEntry",
    members: {
      clusterName: "used",
      principalArn: "used",
      kubernetesGroups: "used",
      username: "used",
      clientRequestToken: { ignored: "the same update twice is one" },
    },
    async handle({ clusterName = "", principalArn = "", kubernetesGroups, username }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const value = await changeRecord(room, ACCESS_ENTRIES, {
        find: () => requireEntry(room.store, cluster, principalArn),
        change: (entry) => ({
          ...entry,
          ...(kubernetesGroups !== undefined && { groups: readGroups(kubernetesGroups) }),
          ...(username !== undefined && { username: readUsername(username, principalArn) }),
          modifiedAtMs: context.nowMs,
        }),
      });
      return { accessEntry: entryView(cluster, value) };
    },
  });
}

export function deleteAccessEntry(room: EksRoom) {
  return operation<DeleteAccessEntryRequest, DeleteAccessEntryResponse>({
    name: "DeleteAccessEntry",
    members: { clusterName: "used", principalArn: "used" },
    async handle({ clusterName = "", principalArn = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { key } = await requireEntry(room.store, cluster, principalArn);
      await room.store.transact([{ op: "delete", collection: ACCESS_ENTRIES, key }]);
      return {};
    },
  });
}

export function listAccessEntries(room: EksRoom) {
  return operation<ListAccessEntriesRequest, ListAccessEntriesResponse>({
    name: "ListAccessEntries",
    members: { clusterName: "used", associatedPolicyArn: "used", maxResults: "used", nextToken: "used" },
    async handle({ clusterName = "", associatedPolicyArn, ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      requireEntries(cluster);
      const entries = (await accessEntriesOf(room.store, cluster)).map(({ value }) => value);
      const wanted = entries.filter(
        ({ policies }) => associatedPolicyArn === undefined || policies.some(({ policyArn }) => policyArn === associatedPolicyArn),
      );
      const { items, nextToken } = pageOf(wanted, ({ principalArn }) => principalArn, page);
      return { accessEntries: items.map(({ principalArn }) => principalArn), ...(nextToken !== undefined && { nextToken }) };
    },
  });
}
