import type { V1KeyToPath, V1Pod, V1Volume, V1VolumeProjection } from "@kubernetes/client-node";
import { Problem } from "../core/problem.ts";
import { fieldOf } from "./fields.ts";

/** What a pod refers to, by namespace-less name; read before it starts. `undefined`: there is none. */
export interface PodSources {
  readonly configMaps: ReadonlyMap<string, Readonly<Record<string, string>> | undefined>;
  readonly secrets: ReadonlyMap<string, Readonly<Record<string, string>> | undefined>;
  /** Service accounts' tokens, by audience; "" for the API server's own. */
  readonly tokens: ReadonlyMap<string, string>;
}

export interface SourceNames {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  /** By audience ("": the API server's), with the seconds asked for. */
  readonly tokens: ReadonlyMap<string, number>;
}

export interface PodFile {
  readonly path: string;
  readonly mode: number;
  readonly value: string;
}

const DEFAULT_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

/** Every ConfigMap, Secret and token that the pod's start needs. Pure. */
export function sourceNames({ spec }: V1Pod): SourceNames {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const tokens = new Map<string, number>();
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
  for (const volume of spec?.volumes ?? []) {
    if (volume.configMap?.name !== undefined) configMaps.add(volume.configMap.name);
    if (volume.secret?.secretName !== undefined) secrets.add(volume.secret.secretName);
    for (const source of volume.projected?.sources ?? []) {
      if (source.configMap?.name !== undefined) configMaps.add(source.configMap.name);
      if (source.secret?.name !== undefined) secrets.add(source.secret.name);
      const token = source.serviceAccountToken;
      if (token !== undefined) tokens.set(token.audience ?? "", token.expirationSeconds ?? DEFAULT_TOKEN_SECONDS);
    }
  }
  return { configMaps, secrets, tokens };
}

/** The files of a volume; `undefined` for one that is a folder of the pod's own. @throws Problem `not-found` in the kubelet's words. Pure. */
export function filesOf(pod: V1Pod, volume: V1Volume, sources: PodSources): readonly PodFile[] | undefined {
  const { configMap, secret, projected, downwardAPI } = volume;
  if (configMap !== undefined) {
    return keyed({ kind: "configmap", name: configMap.name ?? "", ...which(configMap), mode: configMap.defaultMode }, sources.configMaps);
  }
  if (secret !== undefined)
    return keyed({ kind: "secret", name: secret.secretName ?? "", ...which(secret), mode: secret.defaultMode }, sources.secrets);
  if (downwardAPI !== undefined) return downward(pod, downwardAPI.items ?? [], downwardAPI.defaultMode);
  return projected?.sources?.flatMap((source) => projectedFiles(pod, source, { sources, mode: projected.defaultMode }));
}

function projectedFiles(
  pod: V1Pod,
  { configMap, secret, downwardAPI, serviceAccountToken: token }: V1VolumeProjection,
  { sources, mode }: { readonly sources: PodSources; readonly mode: number | undefined },
): readonly PodFile[] {
  return [
    ...(configMap === undefined ? [] : keyed({ kind: "configmap", name: configMap.name ?? "", ...which(configMap), mode }, sources.configMaps)),
    ...(secret === undefined ? [] : keyed({ kind: "secret", name: secret.name ?? "", ...which(secret), mode }, sources.secrets)),
    ...(downwardAPI === undefined ? [] : downward(pod, downwardAPI.items ?? [], mode)),
    ...(token === undefined ? [] : [{ path: token.path, mode: mode ?? DEFAULT_MODE, value: sources.tokens.get(token.audience ?? "") ?? "" }]),
  ];
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

function keyed({ kind, name, items, optional = false, mode = DEFAULT_MODE }: KeyedSource, known: PodSources["configMaps"]): readonly PodFile[] {
  const data = known.get(name);
  if (data === undefined) {
    if (optional) return [];
    throw new Problem("not-found", `${kind} "${name}" not found`);
  }
  if (items === undefined || items.length === 0) return Object.entries(data).map(([path, value]) => ({ path, mode, value }));
  return items.flatMap(({ key, path, mode: own }) => {
    const value = data[key];
    if (value !== undefined) return [{ path, mode: own ?? mode, value }];
    if (optional) return [];
    throw new Problem("not-found", `references non-existent ${kind === "secret" ? "secret" : "config"} key: ${key}`);
  });
}

function downward(
  pod: V1Pod,
  items: readonly { readonly path: string; readonly mode?: number; readonly fieldRef?: { readonly fieldPath: string } }[],
  mode = DEFAULT_MODE,
): readonly PodFile[] {
  return items.map(({ path, mode: own, fieldRef }) => {
    const field = fieldOf(pod, fieldRef?.fieldPath ?? "");
    return { path, mode: own ?? mode, value: "value" in field ? field.value : "" };
  });
}
