import type { AddonDefinition } from "./definition.ts";

/**
 * The agent of EKS Pod Identity. Tidegate is that itself, for each cluster and on Fargate too, whether the add-on is there or not: it has no objects, so that
 * what installs it as a matter of course goes on.
 */
export const POD_IDENTITY_AGENT: AddonDefinition = {
  name: "eks-pod-identity-agent",
  type: "security",
  owner: "aws",
  version: "v1.3.8-eksbuild.2",
  namespace: "kube-system",
  schema: { type: "object", additionalProperties: false, properties: {} },
  objects: () => [],
};
