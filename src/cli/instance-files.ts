import { join } from "node:path";
import { readTextIfAny } from "../host/files.ts";

/** What the server keeps in `<dataDir>/instance.json`: how this instance is reached. */
export interface InstanceFile {
  readonly instanceId: string;
  readonly port: number;
  readonly account: string;
  readonly region: string;
  readonly vpcCidr: string;
  readonly runDir: string;
}

/** `<dataDir>/credentials.json`, mode 0600: the root keys made at first start. */
export interface CredentialsFile {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** `<runDir>/server.json`: the process that serves now. */
export interface ServerFile {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, so that a pid that was used again is not taken for the server. */
  readonly startTicks: string;
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readTextIfAny(path);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

export function readInstance(dataDir: string): Promise<InstanceFile | undefined> {
  return readJson<InstanceFile>(join(dataDir, "instance.json"));
}

export function readCredentials(dataDir: string): Promise<CredentialsFile | undefined> {
  return readJson<CredentialsFile>(join(dataDir, "credentials.json"));
}

/** The pid of the instance's server; `undefined` when it does not run. */
export async function serverPid(instance: InstanceFile): Promise<number | undefined> {
  const server = await readJson<ServerFile>(join(instance.runDir, "server.json"));
  if (server === undefined) return undefined;
  return (await startTicksOf(server.pid)) === server.startTicks ? server.pid : undefined;
}

/** When a process started, in clock ticks since boot; `undefined` when there is none. A zombie counts as none. */
export async function startTicksOf(pid: number): Promise<string | undefined> {
  const stat = await readTextIfAny(`/proc/${pid}/stat`).catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
}
