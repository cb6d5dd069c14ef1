import { Problem } from "../../core/problem.ts";

/** An image name in its full form, e.g. `docker.io/library/nginx:latest`. */
export interface ImageReference {
  /** With the host, without tag or digest. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const REPOSITORY = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Fills in what a short name leaves out, as Docker does: host `docker.io`, folder `library`, tag `latest`. A name with both tag and digest
 * keeps the digest alone.
 * @throws Problem `invalid` when it is no image name.
 */
export function parseImageReference(image: string): ImageReference {
  const [name = "", digest, ...more] = image.split("@");
  const colon = name.lastIndexOf(":");
  const tag = colon > name.lastIndexOf("/") ? name.slice(colon + 1) : undefined;
  const short = tag === undefined ? name : name.slice(0, colon);
  const { host, path } = splitHost(short);
  const valid = more.length === 0 && REPOSITORY.test(path) && (tag === undefined || TAG.test(tag)) && (digest === undefined || DIGEST.test(digest));
  if (!valid) throw new Problem("invalid", `${JSON.stringify(image)} is not an image name: invalid reference format`);
  const repository = `${host}/${host === "docker.io" && !path.includes("/") ? `library/${path}` : path}`;
  return digest === undefined ? { repository, tag: tag ?? "latest" } : { repository, digest };
}

/** The first part is a host when it looks like one: a dot, a port, `localhost`, or capitals. */
function splitHost(name: string): { readonly host: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  if (!/[.:A-Z]/.test(first) && first !== "localhost") return { host: "docker.io", path: name };
  return { host: first === "index.docker.io" ? "docker.io" : first, path: name.slice(slash + 1) };
}

/** `repository:tag` or `repository@digest`, the name under which containerd keeps it. */
export function formatImageReference(reference: ImageReference): string {
  return reference.digest === undefined ? `${reference.repository}:${reference.tag ?? "latest"}` : `${reference.repository}@${reference.digest}`;
}
