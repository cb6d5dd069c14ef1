/** Whom the ConfigMap `kube-system/aws-auth` lets in. */
export interface AwsAuth {
  readonly roles: readonly IdentityMapping[];
  readonly users: readonly IdentityMapping[];
  /** Accounts of which everybody comes in, by the own ARN and in no group. */
  readonly accounts: readonly string[];
}

export interface IdentityMapping {
  /** A role's, without its path, or a user's. */
  readonly arn: string;
  /** May hold `{{SessionName}}` and the like, as the groups may. */
  readonly username: string;
  readonly groups: readonly string[];
}

export const NO_AWS_AUTH: AwsAuth = { roles: [], users: [], accounts: [] };

type Data = Readonly<Record<string, string>>;

interface ReadOptions {
  /** As it was before; a list that cannot be read now stays as it is there. */
  readonly last: AwsAuth;
  /** Reads YAML; throws where it is none. */
  readonly parse: (text: string) => unknown;
}

/**
 * Reads the ConfigMap's data; none: nobody. What is wrong with it is told, in words for whoever wrote it: a list that is no YAML list is
 * as it was before, an item that is none is left out. Pure.
 * @see aws-iam-authenticator, which takes what is good and leaves the rest out
 */
export function readAwsAuth(data: Data | undefined, { last, parse }: ReadOptions): { readonly auth: AwsAuth; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const read = <T>(key: string, before: readonly T[], itemOf: (item: unknown) => T | string): readonly T[] => {
    const text = data?.[key];
    if (text === undefined || text.trim() === "") return [];
    const list = listOf(text, parse);
    if (typeof list === "string") {
      faults.push(`${key} ${list}; the list stays as it was before`);
      return before;
    }
    return list.flatMap((item, index) => {
      const made = itemOf(item);
      if (typeof made !== "string") return [made];
      faults.push(`${key}[${index}] ${made}; it is left out`);
      return [];
    });
  };
  const auth: AwsAuth = {
    roles: read("mapRoles", last.roles, (item) => mappingOf(item, { key: "rolearn", kind: "role" })),
    users: read("mapUsers", last.users, (item) => mappingOf(item, { key: "userarn", kind: "user" })),
    accounts: read<{ readonly account: string }>(
      "mapAccounts",
      last.accounts.map((account) => ({ account })),
      accountOf,
    ).map(({ account }) => account),
  };
  return { auth, faults };
}

/** The mapping for an identity, a role without session and path; roles before users before accounts. ARNs differ in more than their case. Pure. */
export function mappingFor({ roles, users, accounts }: AwsAuth, canonicalArn: string): IdentityMapping | undefined {
  const wanted = canonicalArn.toLowerCase();
  const named = [...roles, ...users].find(({ arn }) => arn.toLowerCase() === wanted);
  if (named !== undefined) return named;
  const [, account = ""] = /^arn:[^:]+:(?:iam|sts)::(\d{12}):/.exec(canonicalArn) ?? [];
  return accounts.includes(account) ? { arn: canonicalArn, username: canonicalArn, groups: [] } : undefined;
}

/** The items, or what is wrong. */
function listOf(text: string, parse: ReadOptions["parse"]): readonly unknown[] | string {
  try {
    const value = parse(text);
    if (Array.isArray(value)) return value;
    return value === null || value === undefined ? [] : "is no YAML list";
  } catch (error) {
    const [reason = "it cannot be read"] = (error instanceof Error ? error.message : String(error)).split("\n");
    return `is no YAML: ${reason}`;
  }
}

/** The mapping, or what is wrong. */
function mappingOf(item: unknown, { key, kind }: { readonly key: string; readonly kind: string }): IdentityMapping | string {
  if (typeof item !== "object" || item === null) return `is no object with ${key}, username and groups`;
  const { [key]: arn, username = "", groups } = item as Readonly<Record<string, unknown>>;
  if (typeof arn !== "string" || arn === "") return `has no ${key}`;
  // A role with a path is never found: whoever has taken it on is known without it.
  if (!new RegExp(`^arn:aws[a-z-]*:(?:iam|sts)::\\d{12}:(?:${kind}/[^/]|federated-user/|root$)`).test(arn))
    return `has a ${key} that is no ${kind}'s ARN: ${arn}`;
  if (kind === "role" && arn.split("/").length > 2) return `has a role's ARN with a path, which must be written without: ${arn}`;
  if (typeof username !== "string") return `has a username that is no text (${arn})`;
  const names = groups ?? [];
  if (!Array.isArray(names) || !names.every((name): name is string => typeof name === "string"))
    return `has groups that are no list of texts (${arn})`;
  return { arn, username, groups: names };
}

function accountOf(item: unknown): { readonly account: string } | string {
  if (typeof item !== "string") return `is no text: write the account in quotes`;
  return /^\d{12}$/.test(item) ? { account: item } : `is no account of twelve digits: ${item}`;
}
