import { Problem } from "../core/problem.ts";

/** Ranks a UTF-16 code unit so that comparing ranks orders strings as their UTF-8 bytes do. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}

/** Orders two strings as their UTF-8 bytes: negative, 0 or positive. (Plain `<` differs for characters above U+FFFF.) */
export function compareUtf8(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** The least string above every string that starts with `prefix`; `undefined` when there is none (the empty prefix). */
export function endOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix);
  while (points.length > 0) {
    const last = points.pop()?.codePointAt(0) ?? 0;
    if (last === 0x10ffff) continue;
    return points.join("") + String.fromCodePoint(last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/** @throws Problem `invalid` for a key that cannot be kept and found again in every store: empty, with a NUL, or not well-formed Unicode. */
export function checkKey(collection: string, key: string): void {
  if (key !== "" && !key.includes("\0") && key.isWellFormed()) return;
  throw new Problem("invalid", `${collection}: the key ${JSON.stringify(key)} is empty, holds a NUL or is not well-formed Unicode`);
}
