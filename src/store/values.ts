import { Problem } from "../core/problem.ts";

/**
 * Values are kept as JSON text and handed out frozen, so that no reader can change what another sees. A reader who wants to change one
 * copies it; an attempt to write to it throws a TypeError.
 */
export function parseFrozen(text: string): unknown {
  return freezeDeep(JSON.parse(text) as unknown);
}

/** @throws Problem `invalid` when the value has no JSON form. */
export function toText(collection: string, key: string, value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new Problem("invalid", `${collection}/${key}: the value has no JSON form`);
  return text;
}

function freezeDeep(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  for (const member of Object.values(value)) freezeDeep(member);
  return Object.freeze(value);
}
