/** The repository prefix under which the registry keeps images of public registries. */
export const PUBLIC_PREFIX = "tidegate-public";

/** `docker.io/library/node:26-slim` -> `localhost:4566/tidegate-public/docker.io/library/node:26-slim`. */
export function publicImageReference(registryHost: string, name: string): string {
  return `${registryHost}/${PUBLIC_PREFIX}/${name}`;
}

/** The short names a Dockerfile may use for a full one: `docker.io/library/node:26` is also `node:26` and `library/node:26`. */
export function shortNames(name: string): readonly string[] {
  const withoutHost = name.replace(/^docker\.io\//, "");
  const names = [name];
  if (withoutHost !== name) names.push(withoutHost);
  const withoutLibrary = withoutHost.replace(/^library\//, "");
  if (withoutLibrary !== withoutHost) names.push(withoutLibrary);
  return names;
}
