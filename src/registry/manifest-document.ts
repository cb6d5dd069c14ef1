import { createHash } from "node:crypto";
import { isDigest } from "./names.ts";
import { RegistryProblem } from "./problems.ts";

export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

/** What this registry takes and serves, in the order it asks others for them. */
export const MANIFEST_MEDIA_TYPES: readonly string[] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/** @see ECR quotas, OCI distribution: 4 MiB. */
export const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** A manifest or index, read and checked. */
export interface ManifestDocument {
  readonly digest: string;
  readonly mediaType: string;
  readonly isIndex: boolean;
  /** Config and layers that must be in the repository (not those with foreign `urls`). */
  readonly blobs: readonly Descriptor[];
  /** Manifests of an index. */
  readonly children: readonly Descriptor[];
  readonly subject?: string;
  /** As the referrers API shows it: the manifest's own, else the config's media type. */
  readonly artifactType?: string;
  readonly configMediaType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

/** sha256 of the bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/**
 * Reads a manifest as it was sent. `contentType` may be left out when the document says its media type or its shape does.
 * @throws RegistryProblem `manifest-invalid`, `size-invalid`, saying where.
 */
export function readManifest(bytes: Uint8Array, contentType?: string): ManifestDocument {
  if (bytes.length > MANIFEST_LIMIT_BYTES) {
    throw new RegistryProblem("size-invalid", `the manifest has ${bytes.length} bytes; the limit is ${MANIFEST_LIMIT_BYTES}`);
  }
  const document = parse(bytes);
  const mediaType = mediaTypeOf(document, contentType);
  if (document["schemaVersion"] !== 2) throw invalid("schemaVersion must be 2; schema 1 manifests are not supported");
  const isIndex = mediaType === OCI_INDEX || mediaType === DOCKER_LIST;
  if (isIndex && (document["layers"] !== undefined || document["config"] !== undefined))
    throw invalid(`a ${mediaType} may not have config or layers`);
  if (!isIndex && document["manifests"] !== undefined) throw invalid(`a ${mediaType} may not have manifests`);
  const config = isIndex ? undefined : descriptor(document["config"], "config");
  const layers = isIndex ? [] : list(document["layers"], "layers");
  const children = isIndex ? list(document["manifests"], "manifests").map((entry, index) => descriptor(entry, `manifests[${index}]`)) : [];
  const subject = document["subject"] === undefined ? undefined : descriptor(document["subject"], "subject").digest;
  const artifactType = typeof document["artifactType"] === "string" && document["artifactType"] !== "" ? document["artifactType"] : config?.mediaType;
  return {
    digest: digestOf(bytes),
    mediaType,
    isIndex,
    blobs: [...(config === undefined ? [] : [config]), ...layers.flatMap((entry, index) => ownLayer(entry, `layers[${index}]`))],
    children,
    ...(subject === undefined ? {} : { subject }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(config === undefined ? {} : { configMediaType: config.mediaType }),
    ...annotationsOf(document),
  };
}

function parse(bytes: Uint8Array): Json {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RegistryProblem("manifest-invalid", "the manifest is not valid JSON", { cause });
  }
  if (!isObject(document)) throw invalid("the manifest is not a JSON object");
  return document;
}

function mediaTypeOf(document: Json, contentType: string | undefined): string {
  const sent = contentType?.split(";")[0]?.trim().toLowerCase();
  const inside = document["mediaType"];
  const guessed = Array.isArray(document["manifests"]) ? OCI_INDEX : OCI_MANIFEST;
  const said = sent === undefined || sent === "" || sent === "application/json" || sent === "application/octet-stream" ? undefined : sent;
  const mediaType = said ?? (typeof inside === "string" ? inside : guessed);
  if (!MANIFEST_MEDIA_TYPES.includes(mediaType)) throw invalid(`the media type ${mediaType} is not supported`);
  if (inside !== undefined && inside !== mediaType)
    throw invalid(`the manifest says its mediaType is ${JSON.stringify(inside)}, its Content-Type ${mediaType}`);
  return mediaType;
}

function descriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) throw invalid(`${where} is missing or not a descriptor`);
  const { mediaType, digest, size, platform } = value;
  if (typeof digest !== "string" || !isDigest(digest)) throw invalid(`${where}.digest is not a sha256 digest`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw invalid(`${where}.size is not a size`);
  if (typeof mediaType !== "string" || mediaType === "") throw invalid(`${where}.mediaType is missing`);
  const read = { mediaType, digest, sizeBytes: size };
  if (!isObject(platform) || typeof platform["os"] !== "string" || typeof platform["architecture"] !== "string") return read;
  return { ...read, platform: { os: platform["os"], architecture: platform["architecture"] } };
}

/** Layers with `urls` are fetched from there and need not be here. */
function ownLayer(value: unknown, where: string): readonly Descriptor[] {
  const read = descriptor(value, where);
  const urls = (value as Json)["urls"];
  return Array.isArray(urls) && urls.length > 0 ? [] : [read];
}

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${where} is missing or not a list`);
  return value;
}

function annotationsOf(document: Json): { readonly annotations?: Readonly<Record<string, string>> } {
  const value = document["annotations"];
  if (value === undefined || value === null) return {};
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== "string")) throw invalid("annotations must map names to strings");
  return { annotations: value as Readonly<Record<string, string>> };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(why: string): RegistryProblem {
  return new RegistryProblem("manifest-invalid", `manifest invalid: ${why}`);
}
