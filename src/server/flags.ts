import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Publication } from "../core/config.ts";
import { Problem } from "../core/problem.ts";
import { parsePublish } from "./publish-flag.ts";

/** What `tidegate up` was given; `undefined` means: as kept from before, or the default. */
export interface ServerFlags {
  readonly dataDir: string;
  readonly port?: number;
  readonly vpcCidr?: string;
  readonly account?: string;
  readonly region?: string;
  readonly auth: "iam" | "none";
  readonly engine?: "cri" | "simulated";
  readonly hostPorts: readonly number[];
  readonly publish: readonly Publication[];
  readonly manageHosts: boolean;
  readonly trustHostCa: boolean;
}

/** Reads the command line. @throws Problem `invalid` that names the flag and what it takes. */
export function parseFlags(args: readonly string[]): ServerFlags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "data-dir": { type: "string", default: "/var/lib/tidegate" },
      port: { type: "string" },
      "vpc-cidr": { type: "string" },
      account: { type: "string" },
      region: { type: "string" },
      auth: { type: "string", default: "iam" },
      engine: { type: "string" },
      "host-port": { type: "string", multiple: true, default: [] },
      publish: { type: "string", multiple: true, default: [] },
      "no-hosts": { type: "boolean", default: false },
      "trust-host-ca": { type: "boolean", default: false },
    },
  });
  return {
    // Daemons and other instances read it from other working directories.
    dataDir: resolve(values["data-dir"]),
    port: values.port === undefined ? undefined : portOf("--port", values.port),
    vpcCidr: blockOf(values["vpc-cidr"]),
    account: matching("--account", values.account, /^\d{12}$/, "twelve digits"),
    region: matching("--region", values.region, /^[a-z]{2}(-[a-z]+)+-\d$/, "a region's name, e.g. eu-central-1"),
    auth: oneOf("--auth", values.auth, ["iam", "none"]),
    engine: values.engine === undefined ? undefined : oneOf("--engine", values.engine, ["cri", "simulated"] as const),
    hostPorts: values["host-port"].map((text) => portOf("--host-port", text)),
    publish: parsePublish(values.publish),
    manageHosts: !values["no-hosts"],
    trustHostCa: values["trust-host-ca"],
  };
}

function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Problem("invalid", `${flag} takes a port from 1 to 65535, not "${text}"`);
}

/** What is kept at the first start must be right then: the VPC is three subnets, so /26 is the smallest. */
function blockOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [, address = "", prefix = ""] = /^(\d{1,3}(?:\.\d{1,3}){3})\/(1[6-9]|2[0-6])$/.exec(text) ?? [];
  const octets = address.split(".").map(Number);
  const hostBits = octets.reduce((sum, octet) => sum * 256 + octet, 0) % 2 ** (32 - Number(prefix));
  if (prefix !== "" && octets.every((octet) => octet <= 255) && hostBits === 0) return text;
  throw new Problem("invalid", `--vpc-cidr takes an IPv4 block of /16 to /26 by its first address, e.g. 172.31.0.0/16, not "${text}"`);
}

function matching(flag: string, text: string | undefined, pattern: RegExp, words: string): string | undefined {
  if (text === undefined || pattern.test(text)) return text;
  throw new Problem("invalid", `${flag} takes ${words}, not "${text}"`);
}

function oneOf<T extends string>(flag: string, text: string, values: readonly T[]): T {
  const found = values.find((value) => value === text);
  if (found !== undefined) return found;
  throw new Problem("invalid", `${flag} takes ${values.join(" or ")}, not "${text}"`);
}
