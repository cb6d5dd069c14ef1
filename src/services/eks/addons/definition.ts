import type { ClusterObject } from "../ports.ts";

/** What an add-on is made for. */
export interface AddonParts {
  /** Of the service `kube-dns`. */
  readonly dnsAddress: string;
  readonly region: string;
  readonly clusterName: string;
  /** What the user has set, checked against the schema. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** An add-on as Tidegate offers it. One file for each; all of them in `catalogue.ts`. */
export interface AddonDefinition {
  readonly name: string;
  /** What DescribeAddonVersions calls its type, e.g. `networking`. */
  readonly type: string;
  /** Who makes it: EKS shows both as published by itself. */
  readonly owner: "aws" | "community";
  /** e.g. `v1.14.2-eksbuild.1`: one version, that of the program which is built with the control plane. */
  readonly version: string;
  readonly namespace: string;
  /** Image name and tag of its program, as its pods name it; undefined for one that has no pods. */
  readonly image?: string;
  /** JSON schema of `configurationValues`, of the words that `schema.ts` knows. */
  readonly schema: JsonSchema;
  /** In the order in which they are applied. Pure. */
  readonly objects: (parts: AddonParts) => readonly ClusterObject[];
  /** The Deployment whose replicas are the add-on's health; without one it is well once it is applied. */
  readonly deployment?: string;
  /** By which its pods are told: they run on Fargate without a profile. */
  readonly podLabels?: Readonly<Record<string, string>>;
}

export interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** Of those that `properties` does not name; default: anything. */
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
}
