import type {
  ListInstanceProfilesForRoleRequest,
  ListInstanceProfilesForRoleResponse,
  ListRoleTagsRequest,
  ListRoleTagsResponse,
  TagRoleRequest,
  UntagRoleRequest,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import { getRole, operation, updateRole } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { limitExceeded } from "../errors.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { tagRecords, tagsView } from "../views.ts";

const MAX_TAGS = 50;

/** Tags of roles; and the instance profiles that a role is in, of which there are none without EC2 instances. */
export function roleTagOperations({ store }: IamRoom): readonly Operation<never>[] {
  return [
    operation<TagRoleRequest, void>({
      name: "TagRole",
      members: { RoleName: "used", Tags: "used" },
      async handle(input, { account }) {
        await updateRole(store, account, input.RoleName!, (role) => {
          const tags = new Map(role.tags.map((tag) => [tag.key, tag]));
          for (const tag of tagRecords(input.Tags)) tags.set(tag.key, tag);
          if (tags.size > MAX_TAGS) throw limitExceeded("TagsPerRole", MAX_TAGS);
          return { role: { ...role, tags: [...tags.values()] } };
        });
      },
    }),
    operation<UntagRoleRequest, void>({
      name: "UntagRole",
      members: { RoleName: "used", TagKeys: "used" },
      async handle(input, { account }) {
        const gone = new Set(input.TagKeys);
        await updateRole(store, account, input.RoleName!, (role) => ({ role: { ...role, tags: role.tags.filter(({ key }) => !gone.has(key)) } }));
      },
    }),
    operation<ListRoleTagsRequest, ListRoleTagsResponse>({
      name: "ListRoleTags",
      members: { RoleName: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const { value: role } = await getRole(store, account, input.RoleName!);
        const { items, ...page } = pageOf(
          sortedBy(role.tags, (tag) => tag.key),
          input,
          (tag) => tag.key,
        );
        return { Tags: tagsView(items), ...page };
      },
    }),
    operation<ListInstanceProfilesForRoleRequest, ListInstanceProfilesForRoleResponse>({
      name: "ListInstanceProfilesForRole",
      members: { RoleName: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        await getRole(store, account, input.RoleName!);
        return { InstanceProfiles: [], IsTruncated: false };
      },
    }),
  ];
}
