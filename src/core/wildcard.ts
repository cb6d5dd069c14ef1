const ANY = Symbol("*");
const ONE = Symbol("?");

export interface WildcardOptions {
  /** Which there are; default both. */
  readonly wildcards?: "*" | "*?";
  /** Whether `\` before a wildcard or another `\` makes that a character as any other; default not. */
  readonly escapes?: boolean;
}

/**
 * Whether a text fits a pattern: `*` stands for any characters, also none; `?` for one. No pattern takes longer than its length times the text's, as a
 * regular expression made of it may: patterns are users'. Pure.
 */
export function fitsWildcard(pattern: string, text: string, options: WildcardOptions = {}): boolean {
  const wanted = partsOf(pattern, options);
  let [at, from] = [0, 0];
  /** The last `*`, and how far the text is taken for it to stand for. */
  let star: { readonly at: number; upTo: number } | undefined;
  while (from < text.length) {
    const part = wanted[at];
    if (part === ANY) {
      star = { at, upTo: from };
      at++;
    } else if (part === text[from] || part === ONE) {
      at++;
      from++;
    } else if (star !== undefined) {
      star.upTo++;
      at = star.at + 1;
      from = star.upTo;
    } else return false;
  }
  while (wanted[at] === ANY) at++;
  return at === wanted.length;
}

function partsOf(pattern: string, { wildcards = "*?", escapes = false }: WildcardOptions): readonly (string | symbol)[] {
  return Array.from(pattern.matchAll(escapes ? /\\([*?\\])|[^]/g : /[^]/g), ([char, escaped]) => {
    if (escaped !== undefined) return escaped;
    if (char === "*") return ANY;
    return char === "?" && wildcards === "*?" ? ONE : char;
  });
}
