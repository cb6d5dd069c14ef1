import { fitsWildcard } from "../core/wildcard.ts";
import type { FargateProfile, PodSelector } from "./ports.ts";

/** Picks a profile, for a pod that more than one matches. */
export const PROFILE_LABEL = "eks.amazonaws.com/fargate-profile";
export const SCHEDULER_NAME = "fargate-scheduler";

interface PodIdentity {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The profile that a pod's label names, if it matches; else the first, by name, that matches. Pure. */
export function matchProfile(profiles: readonly FargateProfile[], pod: PodIdentity): FargateProfile | undefined {
  const matching = inOrder(profiles).filter((profile) => profile.selectors.some((selector) => matches(selector, pod)));
  const named = pod.labels[PROFILE_LABEL];
  return named === undefined ? matching[0] : matching.find(({ name }) => name === named);
}

export function inOrder(profiles: readonly FargateProfile[]): readonly FargateProfile[] {
  const rank = ({ isSystem = false }: FargateProfile): number => Number(isSystem);
  return [...profiles].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

function matches({ namespace, labels }: PodSelector, pod: PodIdentity): boolean {
  if (!fitsWildcard(namespace, pod.namespace)) return false;
  return Object.entries(labels).every(([key, value]) =>
    Object.entries(pod.labels).some(([name, label]) => fitsWildcard(key, name) && fitsWildcard(value, label)),
  );
}

/** A regular expression of a text with `*` and `?`, for CEL, whose expressions take time by their length alone. */
export function patternOf(text: string): string {
  const escaped = text.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return `^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`;
}
