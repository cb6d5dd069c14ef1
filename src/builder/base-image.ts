import { Problem } from "../core/problem.ts";
import { PUBLIC_PREFIX } from "./public-names.ts";

/** How each builder says that it could not get a base image. */
const WORDS: readonly RegExp[] = [
  // buildah
  /initializing source docker:\/\/(\S+?): /,
  // BuildKit, from the summary of what failed
  /^ ?> \[[^\]]*internal\] load metadata for (\S+?):$/m,
  /failed to resolve source metadata for (\S+?): /,
  // Docker's classic builder
  /(?:pull access denied for|manifest for) ([^\s,]+)/,
  /^Step \d+\/\d+ : FROM (?:--platform=\S+ )?(\S+).*\n(?:Get "|Error response|dial tcp|Head ")/m,
];

/** The base image that a builder's messages say could not be fetched. Pure. */
export function missingBaseImage(message: string): string | undefined {
  return WORDS.map((words) => words.exec(message)?.[1]).find((image) => image !== undefined);
}

/** @throws Problem `unavailable` naming the base image, and what to do, when the builder's words show that it could not be had; else `error`. */
export function explainBaseImage(error: unknown, registryHost: string): never {
  const message = error instanceof Error ? error.message : String(error);
  const image = missingBaseImage(message);
  if (image === undefined) throw error;
  const full = fullName(image);
  const advice = /^docker\.io\/library\/(node|debian):/.test(full)
    ? "`tidegate images seed node` makes Node base images (and Debian 12) without a registry; `tidegate images` lists the tags there are."
    : "`tidegate images seed node` makes base images of Node and Debian 12 only.";
  const copy = `skopeo copy --dest-tls-verify=false <where it is> docker://${registryHost}/${PUBLIC_PREFIX}/${full}`;
  const lines = [
    `The base image ${full} is not kept here, and its own registry did not give it.`,
    advice,
    `From elsewhere: \`${copy}\``,
    `The builder's words: ${message.trimEnd().split("\n").at(-1)?.slice(0, 500)}`,
  ];
  throw new Problem("unavailable", lines.join("\n"), { cause: error });
}

/** `node` -> `docker.io/library/node:latest`. Pure. */
export function fullName(image: string): string {
  const [first = "", ...rest] = image.split("/");
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const path = hasHost ? image : `docker.io/${rest.length === 0 ? "library/" : ""}${image}`;
  return /:[^/]*$|@/.test(path) ? path : `${path}:latest`;
}
