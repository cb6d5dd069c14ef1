import type { KeyedContent } from "./pod-files.ts";

/** A user of a registry, as a Secret names him. `registry`: as `docker login` writes it, or a pattern of the kubelet's. */
export interface PullLogin {
  readonly registry: string;
  readonly username: string;
  readonly password: string;
}

const KEYS = [".dockerconfigjson", ".dockercfg"] as const;

/** What Secrets of the types `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` hold; what is no login is left out, as the kubelet does. Pure. */
export function loginsOf(secrets: readonly KeyedContent[]): readonly PullLogin[] {
  return secrets.flatMap((data) =>
    KEYS.flatMap((key) => {
      const text = data[key];
      const read = typeof text === "string" ? objectOf(text) : undefined;
      const entries = key === ".dockercfg" ? read : asObject(read?.["auths"]);
      return Object.entries(entries ?? {}).flatMap(([registry, entry]) => loginOf(registry, asObject(entry)));
    }),
  );
}

function loginOf(registry: string, entry: Readonly<Record<string, unknown>> | undefined): readonly PullLogin[] {
  const { username, password, auth } = entry ?? {};
  if (typeof auth === "string" && auth !== "") {
    const decoded = Buffer.from(auth, "base64").toString();
    const colon = decoded.indexOf(":");
    if (colon > 0) return [{ registry, username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }];
  }
  return typeof username === "string" && username !== "" && typeof password === "string" ? [{ registry, username, password }] : [];
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}
