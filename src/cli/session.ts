import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import type { EC2Client } from "@aws-sdk/client-ec2";
import type { ECRClient } from "@aws-sdk/client-ecr";
import type { ECSClient } from "@aws-sdk/client-ecs";
import type { EKSClient } from "@aws-sdk/client-eks";
import type { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { IAMClient } from "@aws-sdk/client-iam";
import { ownToken } from "../core/own-token.ts";
import { CommandError } from "./command.ts";
import type { KeptInstance } from "../core/config.ts";
import { readCredentials, readInstance } from "./instance-files.ts";
import type { Output } from "./output.ts";

/** How commands reach an instance. Clients are made at first use, so that `env` loads no SDK. */
export interface Session {
  readonly dataDir: string;
  readonly output: Output;
  readonly json: boolean;
  /** @throws CommandError (exit code 3) with the command that starts one, when there is no instance. */
  instance(): Promise<KeptInstance>;
  connection(): Promise<Connection>;
  /** What `/_tidegate/<path>` answers; `undefined` for what is not there. */
  own<T>(path: string, method?: "GET" | "POST"): Promise<T | undefined>;
  ecs(): Promise<ECSClient>;
  eks(): Promise<EKSClient>;
  ecr(): Promise<ECRClient>;
  ec2(): Promise<EC2Client>;
  elbv2(): Promise<ElasticLoadBalancingV2Client>;
  logs(): Promise<CloudWatchLogsClient>;
  iam(): Promise<IAMClient>;
}

/** What every SDK client is made with. */
export interface Connection {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly maxAttempts: number;
}

export const DEFAULT_DATA_DIR = "/var/lib/tidegate";

export function createSession(settings: { readonly dataDir: string; readonly output: Output; readonly json: boolean }): Session {
  const connection = once(() => connect(settings.dataDir));
  const instance = once(() => findInstance(settings.dataDir));
  return {
    ...settings,
    instance,
    connection,
    own: <T>(path: string, method?: "GET" | "POST") => askOwn<T>(settings.dataDir, path, method),
    ecs: once(async () => new (await import("@aws-sdk/client-ecs")).ECSClient(await connection())),
    eks: once(async () => new (await import("@aws-sdk/client-eks")).EKSClient(await connection())),
    ecr: once(async () => new (await import("@aws-sdk/client-ecr")).ECRClient(await connection())),
    ec2: once(async () => new (await import("@aws-sdk/client-ec2")).EC2Client(await connection())),
    elbv2: once(async () => new (await import("@aws-sdk/client-elastic-load-balancing-v2")).ElasticLoadBalancingV2Client(await connection())),
    logs: once(async () => new (await import("@aws-sdk/client-cloudwatch-logs")).CloudWatchLogsClient(await connection())),
    iam: once(async () => new (await import("@aws-sdk/client-iam")).IAMClient(await connection())),
  };
}

async function findInstance(dataDir: string): Promise<KeptInstance> {
  const instance = await readInstance(dataDir);
  if (instance !== undefined) return instance;
  throw new CommandError(`There is no Tidegate under ${dataDir}. \`tidegate up --detach\` starts one there.`, 3);
}

async function connect(dataDir: string): Promise<Connection> {
  const instance = await findInstance(dataDir);
  const credentials = await readCredentials(dataDir);
  if (credentials === undefined) throw new CommandError(`${dataDir}/credentials.json is missing: \`tidegate up\` makes it anew.`, 3);
  return { endpoint: `http://localhost:${instance.port}`, region: process.env["AWS_REGION"] ?? instance.region, credentials, maxAttempts: 3 };
}

/** For what is only looked up. What is asked to be done may take its time. */
const LOOK_UP_MS = 30_000;

async function askOwn<T>(dataDir: string, path: string, method: "GET" | "POST" = "GET"): Promise<T | undefined> {
  const { credentials } = await connect(dataDir);
  const { port } = await findInstance(dataDir);
  const headers = { authorization: `Bearer ${ownToken(credentials.secretAccessKey)}` };
  const limit = method === "GET" ? { signal: AbortSignal.timeout(LOOK_UP_MS) } : {};
  const response = await fetch(`http://127.0.0.1:${port}/_tidegate/${path}`, { method, headers, ...limit }).catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== "TimeoutError") throw error;
    throw new CommandError(
      `Tidegate is there and did not answer within ${LOOK_UP_MS / 1000} s: its disk, or the host, may hang. What runs is untouched; its log says more.`,
    );
  });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new CommandError(`Tidegate answered ${response.status} to /_tidegate/${path}: ${(await response.text()).slice(0, 300)}`);
  return (await response.json()) as T;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
