import { parseArgs } from "node:util";
import { Problem } from "../core/problem.ts";

/** What `tidegate up` was given; `undefined` means: as kept from before, or the default. */
export interface ServerFlags {
  readonly dataDir: string;
  readonly port?: number;
  readonly vpcCidr?: string;
  readonly account?: string;
  readonly region?: string;
  readonly auth: "iam" | "none";
  readonly engine: "cri" | "simulated";
  readonly hostPorts: readonly number[];
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
      engine: { type: "string", default: "cri" },
      "host-port": { type: "string", multiple: true, default: [] },
      "no-hosts": { type: "boolean", default: false },
      "trust-host-ca": { type: "boolean", default: false },
    },
  });
  return {
    dataDir: values["data-dir"],
    port: values.port === undefined ? undefined : portOf("--port", values.port),
    vpcCidr: matching(
      "--vpc-cidr",
      values["vpc-cidr"],
      /^\d{1,3}(\.\d{1,3}){3}\/(1[6-9]|2[0-8])$/,
      "an IPv4 network of /16 to /28, e.g. 172.31.0.0/16",
    ),
    account: matching("--account", values.account, /^\d{12}$/, "twelve digits"),
    region: matching("--region", values.region, /^[a-z]{2}(-[a-z]+)+-\d$/, "a region's name, e.g. eu-central-1"),
    auth: oneOf("--auth", values.auth, ["iam", "none"]),
    engine: oneOf("--engine", values.engine, ["cri", "simulated"]),
    hostPorts: values["host-port"].map((text) => portOf("--host-port", text)),
    manageHosts: !values["no-hosts"],
    trustHostCa: values["trust-host-ca"],
  };
}

function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Problem("invalid", `${flag} takes a port from 1 to 65535, not "${text}"`);
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
