/** The section of docs/coverage.md on pods, out of the table beside the scheduler's rules. */
import { FIELD_STATES, type FieldState } from "../src/kubelet/field-coverage.ts";

const HEAD = `## Pods

What becomes of each field of a pod's spec on Fargate, of \`src/kubelet/field-coverage.ts\`: a test holds it against upstream's types. *Done*: it has
its effect. *Forbidden*: refused with the event that Fargate gives. *Refused*: refused by name, not built (for profiles of seccomp and AppArmor: others
than RuntimeDefault). *Ignored* and *open*: with the reason.
`;

/** In Markdown. Pure. */
export function podCoverage(): string {
  return [
    HEAD,
    ...Object.entries(FIELD_STATES).map(([type, states]) => section(type.replace(/^V1/, ""), states as Readonly<Record<string, FieldState>>)),
  ].join("\n");
}

function section(type: string, states: Readonly<Record<string, FieldState>>): string {
  const fields = Object.entries(states);
  const named = (wanted: FieldState): string => fields.flatMap(([field, state]) => (state === wanted ? [`\`${field}\``] : [])).join(", ");
  const plain = (["done", "forbidden", "refused"] as const).flatMap((state) => (named(state) === "" ? [] : [`- ${state}: ${named(state)}`]));
  const reasoned = fields.flatMap(([field, state]) => {
    if (typeof state === "string") return [];
    return ["ignored" in state ? `- ignored: \`${field}\`: ${state.ignored}` : `- open: \`${field}\`: ${state.open}`];
  });
  return [`### ${type}\n`, ...plain, ...reasoned, ""].join("\n");
}
