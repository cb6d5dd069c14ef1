import type {
  AddClientIDToOpenIDConnectProviderRequest,
  CreateOpenIDConnectProviderRequest,
  CreateOpenIDConnectProviderResponse,
  DeleteOpenIDConnectProviderRequest,
  GetOpenIDConnectProviderRequest,
  GetOpenIDConnectProviderResponse,
  ListOpenIDConnectProvidersRequest,
  ListOpenIDConnectProvidersResponse,
  ListOpenIDConnectProviderTagsRequest,
  ListOpenIDConnectProviderTagsResponse,
  RemoveClientIDFromOpenIDConnectProviderRequest,
  TagOpenIDConnectProviderRequest,
  UntagOpenIDConnectProviderRequest,
  UpdateOpenIDConnectProviderThumbprintRequest,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import type { Store, Stored } from "../../../contracts/store.ts";
import { isProblem } from "../../../core/problem.ts";
import { listAll, operation, retryConflicts } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { alreadyExists, invalidInput, limitExceeded, noSuchEntity, validationError } from "../errors.ts";
import { oidcProviderArn, parseOidcProviderArn } from "../identifiers.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { OIDC_PROVIDERS, oidcProviderKey, type OidcProviderRecord } from "../records.ts";
import { tagRecords, tagsView } from "../views.ts";

const MAX_CLIENT_IDS = 100;
const MAX_THUMBPRINTS = 5;
const MAX_TAGS = 50;

/**
 * Identity providers whose tokens AssumeRoleWithWebIdentity takes: EKS clusters' issuers, and others.
 * Differs: a thumbprint that is not given is not fetched; it is asked for only where the provider's certificate is of no authority that this host trusts.
 */
export function oidcProviderOperations({ store }: IamRoom): readonly Operation<never>[] {
  return [
    operation<CreateOpenIDConnectProviderRequest, CreateOpenIDConnectProviderResponse>({
      name: "CreateOpenIDConnectProvider",
      members: { Url: "used", ClientIDList: "used", ThumbprintList: "used", Tags: "used" },
      async handle(input, { account, nowMs }) {
        const provider: OidcProviderRecord = {
          account,
          url: readUrl(input.Url!),
          clientIds: readClientIds(input.ClientIDList),
          thumbprints: readThumbprints(input.ThumbprintList),
          createdAtMs: nowMs,
          tags: tagRecords(input.Tags),
        };
        try {
          await store.transact([{ op: "create", collection: OIDC_PROVIDERS, key: oidcProviderKey(account, provider.url), value: provider }]);
        } catch (error) {
          if (isProblem(error, "already-exists")) throw alreadyExists(`Provider with url ${input.Url} already exists.`);
          throw error;
        }
        return { OpenIDConnectProviderArn: oidcProviderArn(provider), ...(provider.tags.length > 0 && { Tags: tagsView(provider.tags) }) };
      },
    }),
    operation<GetOpenIDConnectProviderRequest, GetOpenIDConnectProviderResponse>({
      name: "GetOpenIDConnectProvider",
      members: { OpenIDConnectProviderArn: "used" },
      async handle(input, { account }) {
        const { url, clientIds, thumbprints, createdAtMs, tags } = (await getProvider(store, account, input.OpenIDConnectProviderArn!)).value;
        return {
          Url: url,
          ClientIDList: [...clientIds],
          ThumbprintList: [...thumbprints],
          CreateDate: new Date(createdAtMs),
          ...(tags.length > 0 && { Tags: tagsView(tags) }),
        };
      },
    }),
    operation<ListOpenIDConnectProvidersRequest, ListOpenIDConnectProvidersResponse>({
      name: "ListOpenIDConnectProviders",
      members: {},
      async handle(_input, { account }) {
        const providers = sortedBy(await listAll(store, OIDC_PROVIDERS, account), ({ url }) => url);
        return { OpenIDConnectProviderList: providers.map((provider) => ({ Arn: oidcProviderArn(provider) })) };
      },
    }),
    operation<DeleteOpenIDConnectProviderRequest, void>({
      name: "DeleteOpenIDConnectProvider",
      members: { OpenIDConnectProviderArn: "used" },
      async handle(input, { account }) {
        const { key } = await getProvider(store, account, input.OpenIDConnectProviderArn!);
        await store.transact([{ op: "delete", collection: OIDC_PROVIDERS, key }]);
      },
    }),
    ...changes(store),
    operation<ListOpenIDConnectProviderTagsRequest, ListOpenIDConnectProviderTagsResponse>({
      name: "ListOpenIDConnectProviderTags",
      members: { OpenIDConnectProviderArn: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const { value } = await getProvider(store, account, input.OpenIDConnectProviderArn!);
        const { items, ...page } = pageOf(
          sortedBy(value.tags, (tag) => tag.key),
          input,
          (tag) => tag.key,
        );
        return { Tags: tagsView(items), ...page };
      },
    }),
  ];
}

function changes(store: Store): readonly Operation<never>[] {
  const change = async (account: string, arn: string, to: (provider: OidcProviderRecord) => OidcProviderRecord): Promise<void> =>
    retryConflicts(async () => {
      const { key, value, revision } = await getProvider(store, account, arn);
      await store.transact([{ op: "update", collection: OIDC_PROVIDERS, key, value: to(value), ifRevision: revision }]);
    });
  return [
    operation<AddClientIDToOpenIDConnectProviderRequest, void>({
      name: "AddClientIDToOpenIDConnectProvider",
      members: { OpenIDConnectProviderArn: "used", ClientID: "used" },
      handle: ({ OpenIDConnectProviderArn: arn = "", ClientID: id = "" }, { account }) =>
        change(account, arn, (provider) => ({ ...provider, clientIds: readClientIds([...provider.clientIds, id]) })),
    }),
    operation<RemoveClientIDFromOpenIDConnectProviderRequest, void>({
      name: "RemoveClientIDFromOpenIDConnectProvider",
      members: { OpenIDConnectProviderArn: "used", ClientID: "used" },
      handle: ({ OpenIDConnectProviderArn: arn = "", ClientID: id = "" }, { account }) =>
        change(account, arn, (provider) => ({ ...provider, clientIds: provider.clientIds.filter((each) => each !== id) })),
    }),
    operation<UpdateOpenIDConnectProviderThumbprintRequest, void>({
      name: "UpdateOpenIDConnectProviderThumbprint",
      members: { OpenIDConnectProviderArn: "used", ThumbprintList: "used" },
      handle: ({ OpenIDConnectProviderArn: arn = "", ThumbprintList: list }, { account }) =>
        change(account, arn, (provider) => ({ ...provider, thumbprints: readThumbprints(list) })),
    }),
    operation<TagOpenIDConnectProviderRequest, void>({
      name: "TagOpenIDConnectProvider",
      members: { OpenIDConnectProviderArn: "used", Tags: "used" },
      handle: ({ OpenIDConnectProviderArn: arn = "", Tags }, { account }) =>
        change(account, arn, (provider) => {
          const tags = new Map([...provider.tags, ...tagRecords(Tags)].map((tag) => [tag.key, tag]));
          if (tags.size > MAX_TAGS) throw limitExceeded("TagsPerOpenIDConnectProvider", MAX_TAGS);
          return { ...provider, tags: [...tags.values()] };
        }),
    }),
    operation<UntagOpenIDConnectProviderRequest, void>({
      name: "UntagOpenIDConnectProvider",
      members: { OpenIDConnectProviderArn: "used", TagKeys: "used" },
      handle: ({ OpenIDConnectProviderArn: arn = "", TagKeys = [] }, { account }) =>
        change(account, arn, (provider) => ({ ...provider, tags: provider.tags.filter(({ key }) => !TagKeys.includes(key)) })),
    }),
  ];
}

async function getProvider(store: Store, account: string, arn: string): Promise<Stored<OidcProviderRecord>> {
  const parsed = parseOidcProviderArn(arn);
  if (parsed === undefined) throw invalidInput(`Invalid ARN: ${arn}`);
  const found = parsed.account === account ? await store.get(OIDC_PROVIDERS, oidcProviderKey(account, parsed.url)) : undefined;
  if (found === undefined) throw noSuchEntity(`OpenIDConnect Provider not found for arn ${arn}`);
  return found;
}

/** Without `https://`, as ARNs and condition keys have it. */
function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:" || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw validationError("Invalid Open ID Connect Provider URL");
  }
  return text.slice("https://".length).replace(/\/$/, "");
}

function readClientIds(ids: readonly string[] = []): readonly string[] {
  const all = [...new Set(ids)];
  if (all.length > MAX_CLIENT_IDS) throw limitExceeded("ClientIdsPerOpenIdConnectProvider", MAX_CLIENT_IDS);
  return all;
}

function readThumbprints(list: readonly string[] = []): readonly string[] {
  if (list.length > MAX_THUMBPRINTS) throw invalidInput("Thumbprint list must contain fewer than 5 entries.");
  const wrong = list.find((thumbprint) => !/^[0-9a-f]{40}$/i.test(thumbprint));
  if (wrong !== undefined) throw validationError(`Thumbprint ${wrong} is not the SHA-1 of a certificate, in 40 hexadecimal digits`);
  return list.map((thumbprint) => thumbprint.toLowerCase());
}
