import type { FastifyReply } from "fastify";
import { isDigest } from "../names.ts";
import { OCI_INDEX } from "../manifest-document.ts";
import { RegistryProblem } from "../problems.ts";
import type { ManifestRecord } from "../records.ts";
import { scopeOf } from "./address.ts";
import type { Exchange } from "./exchange.ts";

const PAGE_LIMIT = 1000;

/** Tags in order, with `n`, `last` and a Link to the next page. */
export async function handleTags(exchange: Exchange): Promise<FastifyReply> {
  const { rooms, repository, name } = exchange;
  await rooms.repositories.get(repository);
  const page = pageOf(exchange);
  const found = page.limit === 0 ? [] : await rooms.images.tags(repository, { ...page.after, limit: page.limit + 1 });
  return sendPage(exchange, { limit: page.limit, entries: found.map((tag) => tag.tag), body: (tags) => ({ name, tags }) });
}

/** Names of the repositories in the caller's scope, in order, page by page. */
export async function handleCatalog(exchange: Exchange): Promise<FastifyReply> {
  const page = pageOf(exchange);
  const { scope } = scopeOf(exchange.addressing);
  const found = page.limit === 0 ? [] : await exchange.rooms.repositories.list(scope, { ...page.after, limit: page.limit + 1 });
  return sendPage(exchange, { limit: page.limit, entries: found.map((repository) => repository.name), body: (repositories) => ({ repositories }) });
}

/** An index of the manifests whose `subject` is the digest; an empty one when there are none. */
export async function handleReferrers(exchange: Exchange, digest: string): Promise<FastifyReply> {
  if (!isDigest(digest)) throw new RegistryProblem("digest-invalid", `${digest} is not a sha256 digest`);
  const { rooms, repository, reply, url } = exchange;
  await rooms.repositories.get(repository);
  const wanted = url.searchParams.get("artifactType");
  const all = await rooms.images.referrers(repository, digest);
  const manifests = all.filter((record) => wanted === null || record.artifactType === wanted).map(descriptorOf);
  if (wanted !== null) reply.header("oci-filters-applied", "artifactType");
  // As bytes: Fastify adds a charset to texts, which the specification does not have.
  return reply.header("content-type", OCI_INDEX).send(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })));
}

function descriptorOf(record: ManifestRecord): object {
  const { mediaType, digest, sizeBytes, artifactType, annotations } = record;
  return { mediaType, digest, size: sizeBytes, artifactType, annotations };
}

function pageOf(exchange: Exchange): { readonly limit: number; readonly after: { readonly after?: string } } {
  const { searchParams } = exchange.url;
  const text = searchParams.get("n");
  const count = text === null || text === "" ? PAGE_LIMIT : Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new RegistryProblem("size-invalid", `n must be a number, 0 or more, and is '${text}'`);
  const last = searchParams.get("last");
  return { limit: Math.min(count, PAGE_LIMIT), after: last === null || last === "" ? {} : { after: last } };
}

/** One more entry than the limit was asked for, to know whether another page follows. */
function sendPage(
  exchange: Exchange,
  page: { readonly limit: number; readonly entries: readonly string[]; readonly body: (entries: readonly string[]) => object },
): FastifyReply {
  const shown = page.entries.slice(0, page.limit);
  const last = shown.at(-1);
  if (page.entries.length > page.limit && last !== undefined) {
    const query = new URLSearchParams({ n: String(page.limit), last });
    const ns = exchange.url.searchParams.get("ns");
    if (ns !== null) query.set("ns", ns);
    exchange.reply.header("link", `<${exchange.url.pathname}?${query.toString()}>; rel="next"`);
  }
  return exchange.reply.header("content-type", "application/json").send(JSON.stringify(page.body(shown)));
}
