const PLAIN = /^[A-Za-z0-9_./:-]$/;

/** One word of a HAProxy configuration line: every byte that could mean something is written as `\xNN`. NULs, at which HAProxy ends a text, are left out. */
export function word(text: string): string {
  return [...Buffer.from(text.replaceAll("\0", ""))].map((byte) => literal(byte)).join("");
}

/** The same inside a log-format expression, where `%` means something too. */
export function formatWord(text: string): string {
  return word(text.replaceAll("%", "%%"));
}

function literal(byte: number): string {
  const character = String.fromCharCode(byte);
  return PLAIN.test(character) ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
}
