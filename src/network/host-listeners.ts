import { type HostListener, parseListeners } from "../host/listeners.ts";
import type { Shell } from "./shell.ts";

/** Who listens on the host's TCP ports, so that a published port takes nothing from anybody. */
export async function listListeners(shell: Shell): Promise<readonly HostListener[]> {
  // A host without IPv6 has no second file.
  const { stdout } = await shell.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], { okCodes: [0, 1] });
  return parseListeners(stdout);
}
