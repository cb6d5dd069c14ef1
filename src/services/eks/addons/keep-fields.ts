import type { ClusterObject } from "../ports.ts";

/**
 * The object with the live value of each field, so that applying it changes none of them: what PRESERVE asks for. Paths are as API servers tell
 * conflicts, e.g. `.spec.template.spec.containers[name="coredns"].image`. A field that cannot be followed stays as it is. Pure.
 */
export function keepFields(wanted: ClusterObject, live: ClusterObject, fields: readonly string[]): ClusterObject {
  const made = structuredClone(wanted);
  for (const field of fields) keep(made, live, stepsOf(field));
  return made;
}

type Step = { readonly member: string } | { readonly where: Readonly<Record<string, unknown>> };

function stepsOf(field: string): readonly Step[] {
  return [...field.matchAll(/\.([^.[\]]+)|\[([^\]]+)\]/g)].map(([, member, selector = ""]): Step => {
    if (member !== undefined) return { member };
    const pairs = [...selector.matchAll(/([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]+)/g)].map(([, name = "", value = ""]) => [
      name,
      JSON.parse(value) as unknown,
    ]);
    return { where: Object.fromEntries(pairs) as Record<string, unknown> };
  });
}

function keep(wanted: unknown, live: unknown, [step, ...rest]: readonly Step[]): void {
  if (step === undefined || !isObject(wanted) || !isObject(live)) return;
  if ("member" in step) {
    if (rest.length > 0) return keep(wanted[step.member], live[step.member], rest);
    if (step.member in live) wanted[step.member] = live[step.member];
    else delete wanted[step.member];
    return;
  }
  const isIt = (item: unknown): boolean => isObject(item) && Object.entries(step.where).every(([name, value]) => item[name] === value);
  if (Array.isArray(wanted) && Array.isArray(live)) keep(wanted.find(isIt), live.find(isIt), rest);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
