import type { V1Container, V1EnvVar, V1Pod } from "@kubernetes/client-node";
import type { EnvironmentVariable } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";
import { fieldOf } from "./fields.ts";
import type { PodSources } from "./pod-files.ts";

/**
 * A container's environment, in Kubernetes' order: what leads to the API server, `envFrom`, then `env`, where `$(NAME)` stands for an earlier one.
 * @throws Problem `not-found` for a ConfigMap, Secret or key that is not there, in the kubelet's words. Pure.
 */
export function environmentOf(pod: V1Pod, container: V1Container, { sources, apiServer }: EnvironmentParts): readonly EnvironmentVariable[] {
  const variables = new Map<string, EnvironmentVariable>();
  const put = (variable: EnvironmentVariable): void => {
    // The last of a name wins, and its place is where it was set last.
    variables.delete(variable.name);
    variables.set(variable.name, variable);
  };
  for (const [name, value] of Object.entries(apiServerVariables(apiServer))) put({ name, value });
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const from =
      configMapRef === undefined
        ? whole("secret", secretRef?.name ?? "", { known: sources.secrets, optional: secretRef?.optional })
        : whole("configmap", configMapRef.name ?? "", { known: sources.configMaps, optional: configMapRef.optional });
    for (const [name, value] of Object.entries(from)) put({ name: `${prefix}${name}`, value });
  }
  for (const variable of container.env ?? []) {
    const made = valueOf(pod, variable, sources);
    if (made === undefined) continue;
    put("value" in made ? { name: variable.name, value: expand(made.value, literals(variables)) } : { name: variable.name, ...made });
  }
  return [...variables.values()];
}

export interface EnvironmentParts {
  readonly sources: PodSources;
  /** Its address. */
  readonly apiServer: string;
}

/**
 * Differs: the API server by its own address, where the kubelet gives the address of the service `kubernetes`: services have no rules in
 * pods' namespaces yet.
 */
function apiServerVariables(address: string): Readonly<Record<string, string>> {
  const port = `tcp://${address}:443`;
  return {
    KUBERNETES_SERVICE_HOST: address,
    KUBERNETES_SERVICE_PORT: "443",
    KUBERNETES_SERVICE_PORT_HTTPS: "443",
    KUBERNETES_PORT: port,
    KUBERNETES_PORT_443_TCP: port,
    KUBERNETES_PORT_443_TCP_PROTO: "tcp",
    KUBERNETES_PORT_443_TCP_PORT: "443",
    KUBERNETES_PORT_443_TCP_ADDR: address,
  };
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

function whole(kind: string, name: string, { known, optional = false }: Lookup): Readonly<Record<string, string>> {
  const data = known.get(name);
  if (data !== undefined) return data;
  if (optional) return {};
  throw new Problem("not-found", `${kind} "${name}" not found`);
}

function valueOf(pod: V1Pod, { value = "", valueFrom }: V1EnvVar, sources: PodSources): ReturnType<typeof fieldOf> | undefined {
  if (valueFrom?.fieldRef !== undefined) return fieldOf(pod, valueFrom.fieldRef.fieldPath);
  const ref = valueFrom?.configMapKeyRef ?? valueFrom?.secretKeyRef;
  if (ref === undefined) return { value };
  const isSecret = valueFrom?.configMapKeyRef === undefined;
  const data = whole(isSecret ? "secret" : "configmap", ref.name ?? "", {
    known: isSecret ? sources.secrets : sources.configMaps,
    optional: ref.optional,
  });
  const found = data[ref.key];
  if (found !== undefined) return { value: found };
  if (ref.optional) return undefined;
  throw new Problem("not-found", `couldn't find key ${ref.key} in ${isSecret ? "Secret" : "ConfigMap"} ${pod.metadata?.namespace}/${ref.name}`);
}
