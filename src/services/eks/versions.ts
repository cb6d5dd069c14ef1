/** The Kubernetes versions that clusters may have: the one whose control plane Tidegate runs. */

export const CLUSTER_VERSION = "1.36";
export const PATCH_VERSION = "1.36.3";
export const PLATFORM_VERSION = "eks.1";

/**
 * Upstream's calendar: released, and 14 months of standard and 12 of extended support, as AWS gives them.
 * Differs: AWS's own dates for this version were not known when this was written.
 */
export const SUPPORT = {
  releasedAtMs: Date.UTC(2026, 3, 22),
  standardEndsAtMs: Date.UTC(2027, 5, 22),
  extendedEndsAtMs: Date.UTC(2028, 5, 22),
} as const;
