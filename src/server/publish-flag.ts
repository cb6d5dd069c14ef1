import type { Publication } from "../core/config.ts";
import { Problem } from "../core/problem.ts";

const FORM = "ADDRESS:PORT[,PORT…]=<load balancer>, e.g. 0.0.0.0:80,443=web";

/**
 * Reads `--publish` flags, each `ADDRESS:PORT[,PORT…]=<name or ARN of a load balancer>`.
 * @throws Problem `invalid` that says what is wrong, also where two of them want the same port.
 */
export function parsePublish(texts: readonly string[]): readonly Publication[] {
  const publications = texts.flatMap(parseOne);
  for (const [index, one] of publications.entries()) {
    const other = publications.slice(0, index).find((before) => before.port === one.port && meet(before.address, one.address));
    if (other === undefined) continue;
    throw new Problem(
      "invalid",
      `--publish: ${one.address}:${one.port} (${one.loadBalancer}) is in ${other.address}:${other.port} (${other.loadBalancer}) already`,
    );
  }
  return publications;
}

function parseOne(text: string): readonly Publication[] {
  const at = text.indexOf("=");
  const [where, loadBalancer] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  if (where.startsWith("[") || /:.*:/.test(where))
    throw new Problem("invalid", `--publish takes IPv4 addresses only, not "${text}": VPCs have no IPv6`);
  const [address = "", ports = ""] = where.split(":");
  if (!isIpv4(address) || ports === "" || loadBalancer === "") throw new Problem("invalid", `--publish takes ${FORM}, not "${text}"`);
  return ports.split(",").map((port) => ({ address, port: portOf(port, text), loadBalancer }));
}

function portOf(port: string, text: string): number {
  const number = /^\d+$/.test(port) ? Number(port) : 0;
  if (number >= 1 && number <= 65_535) return number;
  throw new Problem("invalid", `--publish takes ports from 1 to 65535, not "${port}" (in "${text}")`);
}

function isIpv4(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split(".").every((octet) => Number(octet) <= 255);
}

function meet(a: string, b: string): boolean {
  return a === b || a === "0.0.0.0" || b === "0.0.0.0";
}
