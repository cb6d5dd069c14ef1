/** SQLITE_FULL, and SQLITE_IOERR_SHMSIZE: no room for the index of its log. */
const SQLITE_CODES: readonly unknown[] = [13, 4874];

/** Whether an error, or what caused it, says that a disk (or a quota on it) is full: Node's, SQLite's, or a program's words. */
export function isDiskFull(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, errcode } = at as { readonly code?: unknown; readonly errcode?: unknown };
    if (code === "ENOSPC" || code === "EDQUOT" || (code === "ERR_SQLITE_ERROR" && SQLITE_CODES.includes(errcode))) return true;
    if (/no space left on device|disk quota exceeded|database or disk is full|\bENOSPC\b/i.test(at.message)) return true;
  }
  return false;
}
