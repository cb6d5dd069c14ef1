import type { V1Container, V1EnvVar } from "@kubernetes/client-node";
import type { EnvironmentVariable } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";
import { fieldOf, resourceOf, type PlacedPod } from "./fields.ts";
import type { Content, KeyedContent, PodSources } from "./pod-files.ts";

/**
 * A container's environment, in Kubernetes' order: where services are, `envFrom`, then `env`, where `$(NAME)` stands for an earlier one.
 * @throws Problem `not-found` for a ConfigMap, Secret or key that is not there, in the kubelet's words. Pure.
 */
export function environmentOf(container: V1Container, parts: EnvironmentParts): readonly EnvironmentVariable[] {
  const { sources, services } = parts;
  const variables = new Map<string, EnvironmentVariable>();
  const put = (variable: EnvironmentVariable): void => {
    // The last of a name wins, and its place is where it was set last.
    variables.delete(variable.name);
    variables.set(variable.name, variable);
  };
  for (const [name, value] of Object.entries(services)) put({ name, value });
  // Where AWS's APIs are for the SDKs in it, as ECS's tasks are told.
  put({ name: "AWS_ENDPOINT_URL", producer: "endpoint-url" });
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const from =
      configMapRef === undefined
        ? whole("secret", secretRef?.name ?? "", { known: sources.secrets, optional: secretRef?.optional })
        : whole("configmap", configMapRef.name ?? "", { known: sources.configMaps, optional: configMapRef.optional });
    for (const [name, value] of Object.entries(from)) put({ name: `${prefix}${name}`, value: textOf(name, value) });
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(container, variable, parts);
    if (value !== undefined) put({ name: variable.name, value: variable.valueFrom === undefined ? expand(value, literals(variables)) : value });
  }
  return [...variables.values()];
}

export interface EnvironmentParts extends PlacedPod {
  readonly sources: PodSources;
  /** Variables that say where services are. */
  readonly services: Readonly<Record<string, string>>;
}

/** `$(NAME)` by the literal of that name, `$$(` by `$(`; what is not known stays as it is. Pure. */
export function expand(text: string, known: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(\$|\(([^()]*)\))/g, (all, kind: string, name: string | undefined) => (kind === "$" ? "$" : (known[name ?? ""] ?? all)));
}

/** The variables whose values are known before the pod has its address. */
export function literals(variables: ReadonlyMap<string, EnvironmentVariable> | readonly EnvironmentVariable[]): Readonly<Record<string, string>> {
  return Object.fromEntries([...variables.values()].flatMap((variable) => ("value" in variable ? [[variable.name, variable.value]] : [])));
}

interface Lookup {
  readonly known: PodSources["configMaps"];
  readonly optional: boolean | undefined;
}

function whole(kind: string, name: string, { known, optional = false }: Lookup): KeyedContent {
  const data = known.get(name);
  if (data !== undefined) return data;
  if (optional) return {};
  throw new Problem("not-found", `${kind} "${name}" not found`);
}

function valueOf(container: V1Container, { value = "", valueFrom }: V1EnvVar, parts: EnvironmentParts): string | undefined {
  const { pod, sources } = parts;
  if (valueFrom?.fieldRef !== undefined) return fieldOf(parts, valueFrom.fieldRef);
  if (valueFrom?.resourceFieldRef !== undefined) return resourceOf(parts, valueFrom.resourceFieldRef, container);
  const ref = valueFrom?.configMapKeyRef ?? valueFrom?.secretKeyRef;
  if (ref === undefined) return value;
  const isSecret = valueFrom?.configMapKeyRef === undefined;
  const data = whole(isSecret ? "secret" : "configmap", ref.name ?? "", {
    known: isSecret ? sources.secrets : sources.configMaps,
    optional: ref.optional,
  });
  const found = data[ref.key];
  if (found !== undefined) return textOf(ref.key, found);
  if (ref.optional) return undefined;
  throw new Problem("not-found", `couldn't find key ${ref.key} in ${isSecret ? "Secret" : "ConfigMap"} ${pod.metadata?.namespace}/${ref.name}`);
}

function textOf(key: string, content: Content): string {
  if (typeof content === "string") return content;
  throw new Problem("invalid", `key ${key} holds bytes that are no UTF-8 text, which no environment variable can; mount it as a volume`);
}
