import { collection } from "../contracts/store.ts";
import type { Scope } from "../core/scope.ts";
import type { Source } from "./model.ts";
import type { StackName } from "./names.ts";

/**
 * A Service or a group of Ingresses that has, or is about to have, resources of ELBv2. Stored before the first of them is made, removed after the
 * last is gone; written by the stack controller alone. The resources themselves are found by their tags.
 */
export interface StackRecord extends Scope, StackName {
  readonly clusterKey: string;
  readonly clusterName: string;
  readonly clusterUid: string;
  readonly vpcId: string;
  /** Of the last model that was carried out: targets follow pods also while the next one is refused. */
  readonly groups: readonly DeployedGroup[];
  /** A digest of the last event, which is not told twice. */
  readonly told: string;
}

export interface DeployedGroup {
  readonly arn: string;
  readonly name: string;
  readonly source: Source;
}

export const STACKS = collection<StackRecord>("ingress.stack");

/** e.g. `<account>/<region>/shop|service|default/web`. */
export function stackKey(clusterKey: string, { kind, id }: StackName): string {
  return `${clusterKey}|${kind}|${id}`;
}

export function parseStackKey(key: string): StackName & { readonly clusterKey: string } {
  const [clusterKey = "", kind, id = ""] = key.split("|");
  return { clusterKey, kind: kind === "service" ? "service" : "ingress", id };
}
