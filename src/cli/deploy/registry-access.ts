import type { RegistryAccess } from "../../builder/builder.ts";
import type { Session } from "../session.ts";

/** A login to the instance's registry, as `aws ecr get-login-password` gives it. */
export async function registryAccess(session: Session): Promise<RegistryAccess> {
  const { GetAuthorizationTokenCommand } = await import("@aws-sdk/client-ecr");
  const ecr = await session.ecr();
  const answer = await ecr.send(new GetAuthorizationTokenCommand({}));
  const token = Buffer.from(answer.authorizationData?.[0]?.authorizationToken ?? "", "base64").toString();
  const at = token.indexOf(":");
  const instance = await session.instance();
  return { host: `localhost:${instance.port}`, username: token.slice(0, at), password: token.slice(at + 1) };
}

/** The public images that the registry keeps, as full names with tags: `docker.io/library/node:26-slim`. */
export async function publicImages(registry: RegistryAccess): Promise<readonly string[]> {
  const names: string[] = [];
  for (const name of ["docker.io/library/node", "docker.io/library/debian"]) {
    const answer = (await get(registry, `tidegate-public/${name}/tags/list`)) as { readonly tags?: readonly string[] } | undefined;
    for (const tag of answer?.tags ?? []) names.push(`${name}:${tag}`);
  }
  return names;
}

/** Whether the registry has this image, named as `<repository>:<tag>`. */
export async function hasManifest(registry: RegistryAccess, image: string): Promise<boolean> {
  const colon = image.lastIndexOf(":");
  return (await get(registry, `${image.slice(0, colon)}/manifests/${image.slice(colon + 1)}`)) !== undefined;
}

/** The ports an image EXPOSEs, TCP only, in order. */
export async function exposedPorts(
  registry: RegistryAccess,
  image: { readonly repository: string; readonly digest: string },
): Promise<readonly number[]> {
  interface Manifest {
    readonly config?: { readonly digest: string };
    readonly manifests?: readonly { readonly digest: string }[];
  }
  let manifest = (await get(registry, `${image.repository}/manifests/${image.digest}`)) as Manifest | undefined;
  const first = manifest?.manifests?.[0]?.digest;
  if (first !== undefined) manifest = (await get(registry, `${image.repository}/manifests/${first}`)) as Manifest | undefined;
  if (manifest?.config === undefined) return [];
  const config = (await get(registry, `${image.repository}/blobs/${manifest.config.digest}`)) as { config?: { ExposedPorts?: object } } | undefined;
  return Object.keys(config?.config?.ExposedPorts ?? {})
    .flatMap((port) => (port.endsWith("/udp") ? [] : [Number.parseInt(port, 10)]))
    .sort((a, b) => a - b);
}

const ACCEPT = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/json",
].join(", ");

async function get(registry: RegistryAccess, path: string): Promise<unknown> {
  const token = Buffer.from(`${registry.username}:${registry.password}`).toString("base64");
  const response = await fetch(`http://${registry.host}/v2/${path}`, { headers: { authorization: `Basic ${token}`, accept: ACCEPT } });
  return response.ok ? response.json() : undefined;
}
