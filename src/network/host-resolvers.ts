/** The name servers that the host itself asks, and word of their change. */
import { readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { parseNameservers } from "./plan-dns.ts";

export interface HostResolvers {
  /** Those that a VPC's resolver can ask by the network. */
  readonly upstreams: readonly string[];
  /** When there is none of these: one on the host's loopback. */
  readonly loopback?: string;
}

/** systemd-resolved keeps the real ones apart from its own stub. */
export const RESOLV_CONF_PATHS: readonly string[] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/** From the contents of the resolv.conf files that there are, in order. */
export function chooseResolvers(texts: readonly string[]): HostResolvers {
  const servers = texts.map(parseNameservers);
  const isLoopback = (address: string): boolean => address.startsWith("127.");
  const real = servers.find((list) => list.some((address) => !isLoopback(address)));
  if (real !== undefined) return { upstreams: real.filter((address) => !isLoopback(address)) };
  return { upstreams: [], loopback: servers.flat().find(isLoopback) };
}

export function readHostResolvers(paths: readonly string[]): HostResolvers {
  return chooseResolvers(
    paths.flatMap((path) => {
      try {
        return [readFileSync(path, "utf8")];
      } catch {
        return [];
      }
    }),
  );
}

/** Calls back when one of the files is written or replaced, as a laptop's are when it changes networks. */
export function watchHostResolvers(paths: readonly string[], changed: () => void): Disposable {
  const watchers = paths.flatMap((path) => {
    try {
      const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
        if (name === basename(path)) changed();
      });
      watcher.on("error", () => {});
      return [watcher];
    } catch {
      return [];
    }
  });
  return {
    [Symbol.dispose]: () => {
      for (const watcher of watchers) watcher.close();
    },
  };
}
