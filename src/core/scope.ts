/** Whose records, and where: taken from the credential scope of a request. */
export interface Scope {
  /** Twelve digits. */
  readonly account: string;
  /** e.g. `us-east-1`. */
  readonly region: string;
}

/** The key prefix of everything in a scope: `<account>/<region>/`. */
export function scopePrefix(scope: Scope): string {
  return `${scope.account}/${scope.region}/`;
}

/** A store key inside a scope: `<account>/<region>/<part>/<part>…`. */
export function scopedKey(scope: Scope, ...parts: readonly string[]): string {
  return scopePrefix(scope) + parts.join("/");
}

/** Reads the scope back out of a store key. */
export function scopeOfKey(key: string): Scope {
  const [account = "", region = ""] = key.split("/", 2);
  return { account, region };
}
