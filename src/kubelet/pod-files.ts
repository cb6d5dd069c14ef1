import type { V1KeyToPath, V1Pod, V1PodSpec, V1Volume, V1VolumeProjection } from "@kubernetes/client-node";
import type { VolumeFile } from "../contracts/workload.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { fieldOf, resourceOf, type PlacedPod } from "./fields.ts";

/** A value of a ConfigMap or Secret: text, or bytes that are none. */
export type Content = string | { readonly base64: string };
export type KeyedContent = Readonly<Record<string, Content>>;

/** What a pod refers to, by namespace-less name. `undefined`: there is none. */
export interface PodSources {
  readonly configMaps: ReadonlyMap<string, KeyedContent | undefined>;
  readonly secrets: ReadonlyMap<string, KeyedContent | undefined>;
  /** Service accounts' tokens, by `tokenKey`. */
  readonly tokens: ReadonlyMap<string, string>;
}

export interface TokenRequest {
  /** "": the API server's own. */
  readonly audience: string;
  readonly seconds: number;
}

export interface SourceNames {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  readonly tokens: readonly TokenRequest[];
}

const DEFAULT_MODE = 0o644;
/** Of a token that one user or group alone is to read. */
const OWNED_TOKEN_MODE = 0o600;
const DEFAULT_TOKEN_SECONDS = 3600;

export function tokenKey({ audience, seconds }: TokenRequest): string {
  return `${seconds}/${audience}`;
}

/** Every ConfigMap, Secret and token that the pod's start needs. Pure. */
export function sourceNames({ spec }: V1Pod): SourceNames {
  const ofEnvironment = environmentNames(spec);
  const ofVolumes = volumeNames(spec?.volumes ?? []);
  return {
    configMaps: new Set([...ofEnvironment.configMaps, ...ofVolumes.configMaps]),
    secrets: new Set([...ofEnvironment.secrets, ...ofVolumes.secrets]),
    tokens: ofVolumes.tokens,
  };
}

function environmentNames(spec: V1PodSpec | undefined): Pick<SourceNames, "configMaps" | "secrets"> {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const { env = [], envFrom = [] } of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]) {
    for (const { configMapRef, secretRef } of envFrom) {
      if (configMapRef?.name !== undefined) configMaps.add(configMapRef.name);
      if (secretRef?.name !== undefined) secrets.add(secretRef.name);
    }
    for (const { valueFrom } of env) {
      if (valueFrom?.configMapKeyRef?.name !== undefined) configMaps.add(valueFrom.configMapKeyRef.name);
      if (valueFrom?.secretKeyRef?.name !== undefined) secrets.add(valueFrom.secretKeyRef.name);
    }
  }
  return { configMaps, secrets };
}

/** What volumes are made of: they follow it while the pod runs. Pure. */
export function volumeNames(volumes: readonly V1Volume[]): SourceNames {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const tokens = new Map<string, TokenRequest>();
  for (const volume of volumes) {
    if (volume.configMap?.name !== undefined) configMaps.add(volume.configMap.name);
    if (volume.secret?.secretName !== undefined) secrets.add(volume.secret.secretName);
    for (const source of volume.projected?.sources ?? []) {
      if (source.configMap?.name !== undefined) configMaps.add(source.configMap.name);
      if (source.secret?.name !== undefined) secrets.add(source.secret.name);
      if (source.serviceAccountToken === undefined) continue;
      const request = requestOf(source.serviceAccountToken);
      tokens.set(tokenKey(request), request);
    }
  }
  return { configMaps, secrets, tokens: [...tokens.values()] };
}

function requestOf(token: NonNullable<V1VolumeProjection["serviceAccountToken"]>): TokenRequest {
  return { audience: token.audience ?? "", seconds: token.expirationSeconds ?? DEFAULT_TOKEN_SECONDS };
}

/** Whether a volume holds files that are given to the pod; another one is a folder of its own. */
export function isOfFiles({ configMap, secret, projected, downwardAPI }: V1Volume): boolean {
  return (configMap ?? secret ?? projected ?? downwardAPI) !== undefined;
}

interface FileParts extends PlacedPod {
  readonly sources: PodSources;
}

/** By name: the files of each volume that has any. @throws Problem `not-found`, `invalid` in the kubelet's words. Pure. */
export function volumeFiles(parts: FileParts): Readonly<Record<string, readonly VolumeFile[]>> {
  const volumes = (parts.pod.spec?.volumes ?? []).filter(isOfFiles);
  return Object.fromEntries(
    volumes.map((volume) => {
      try {
        return [volume.name, filesOf(parts, volume)];
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        throw new Problem(error.kind, `${MOUNT_FAILED} "${volume.name}" : ${messageOf(error)}`, { cause: error });
      }
    }),
  );
}

/** How the kubelet begins to say that a volume cannot be made. */
export const MOUNT_FAILED = "MountVolume.SetUp failed for volume";

function filesOf(parts: FileParts, { configMap, secret, projected, downwardAPI }: V1Volume): readonly VolumeFile[] {
  const { sources } = parts;
  if (configMap !== undefined) {
    return keyed({ kind: "configmap", name: configMap.name ?? "", ...which(configMap), mode: configMap.defaultMode }, sources.configMaps);
  }
  if (secret !== undefined)
    return keyed({ kind: "secret", name: secret.secretName ?? "", ...which(secret), mode: secret.defaultMode }, sources.secrets);
  if (downwardAPI !== undefined) return downward(parts, downwardAPI.items ?? [], downwardAPI.defaultMode);
  // A later source's file takes the place of an earlier one's.
  const files = new Map<string, VolumeFile>();
  for (const source of projected?.sources ?? []) {
    for (const file of projectedFiles(parts, source, projected?.defaultMode)) files.set(file.path, file);
  }
  return [...files.values()];
}

function projectedFiles(
  parts: FileParts,
  { configMap, secret, downwardAPI, serviceAccountToken: token }: V1VolumeProjection,
  mode: number | undefined,
): readonly VolumeFile[] {
  const { sources } = parts;
  return [
    ...(configMap === undefined ? [] : keyed({ kind: "configmap", name: configMap.name ?? "", ...which(configMap), mode }, sources.configMaps)),
    ...(secret === undefined ? [] : keyed({ kind: "secret", name: secret.name ?? "", ...which(secret), mode }, sources.secrets)),
    ...(downwardAPI === undefined ? [] : downward(parts, downwardAPI.items ?? [], mode)),
    ...(token === undefined ? [] : [tokenFile(parts, token, mode)]),
  ];
}

/** Its own user's or group's alone, where the pod has one. */
function tokenFile({ pod, sources }: FileParts, token: NonNullable<V1VolumeProjection["serviceAccountToken"]>, mode = DEFAULT_MODE): VolumeFile {
  const value = sources.tokens.get(tokenKey(requestOf(token))) ?? "";
  const userId = onlyUser(pod.spec);
  const isOwned = userId !== undefined || pod.spec?.securityContext?.fsGroup !== undefined;
  return { path: token.path, mode: isOwned ? OWNED_TOKEN_MODE : mode, ...(userId !== undefined && { userId }), value };
}

/** As whom all containers run, where the pod says so. */
function onlyUser(spec: V1PodSpec | undefined): number | undefined {
  const users = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(
    ({ securityContext }) => securityContext?.runAsUser ?? spec?.securityContext?.runAsUser,
  );
  return new Set(users).size === 1 ? users[0] : undefined;
}

interface KeyedSource {
  readonly kind: "configmap" | "secret";
  readonly name: string;
  readonly items?: readonly V1KeyToPath[];
  readonly optional?: boolean;
  readonly mode: number | undefined;
}

function which({ items, optional }: Pick<KeyedSource, "items" | "optional">): Pick<KeyedSource, "items" | "optional"> {
  return { items, optional };
}

function keyed({ kind, name, items, optional = false, mode = DEFAULT_MODE }: KeyedSource, known: PodSources["configMaps"]): readonly VolumeFile[] {
  const data = known.get(name);
  if (data === undefined) {
    if (optional) return [];
    throw new Problem("not-found", `${kind} "${name}" not found`);
  }
  if (items === undefined || items.length === 0) return Object.entries(data).map(([path, content]) => ({ path, mode, ...asContent(content) }));
  return items.flatMap(({ key, path, mode: own }) => {
    const content = data[key];
    if (content !== undefined) return [{ path, mode: own ?? mode, ...asContent(content) }];
    if (optional) return [];
    throw new Problem("not-found", `references non-existent ${kind === "secret" ? "secret" : "config"} key: ${key}`);
  });
}

function asContent(content: Content): { readonly value: string } | { readonly base64: string } {
  return typeof content === "string" ? { value: content } : content;
}

type DownwardItem = NonNullable<NonNullable<V1Volume["downwardAPI"]>["items"]>[number];

function downward(parts: FileParts, items: readonly DownwardItem[], mode = DEFAULT_MODE): readonly VolumeFile[] {
  return items.map(({ path, mode: own, fieldRef, resourceFieldRef }) => ({
    path,
    mode: own ?? mode,
    value: resourceFieldRef === undefined ? fieldOf(parts, fieldRef ?? { fieldPath: "" }) : resourceOf(parts, resourceFieldRef),
  }));
}
