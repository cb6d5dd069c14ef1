/**
 * Whether a text fits a pattern: `*` stands for any characters, also none; `?` for one, unless `wildcards` leaves it out. No pattern takes longer than
 * its length times the text's, as a regular expression made of it may: patterns are users'. Pure.
 */
export function fitsWildcard(pattern: string, text: string, { wildcards = "*?" }: { readonly wildcards?: "*" | "*?" } = {}): boolean {
  let [at, from] = [0, 0];
  /** The last `*`, and how far the text is taken for it to stand for. */
  let star: { readonly at: number; upTo: number } | undefined;
  while (from < text.length) {
    const wanted = pattern[at];
    if (wanted === "*") {
      star = { at, upTo: from };
      at++;
    } else if (wanted === text[from] || (wanted === "?" && wildcards === "*?")) {
      at++;
      from++;
    } else if (star !== undefined) {
      star.upTo++;
      at = star.at + 1;
      from = star.upTo;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
