import { join } from "node:path";
import type { KeptInstance } from "../core/config.ts";
import { readTextIfAny } from "../host/files.ts";
import { isAlive, type ProcessIdentity } from "../host/process.ts";

/** `<dataDir>/credentials.json`, mode 0600: the root keys made at first start. */
export interface CredentialsFile {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readTextIfAny(path);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

export function readInstance(dataDir: string): Promise<KeptInstance | undefined> {
  return readJson<KeptInstance>(join(dataDir, "instance.json"));
}

export function readCredentials(dataDir: string): Promise<CredentialsFile | undefined> {
  return readJson<CredentialsFile>(join(dataDir, "credentials.json"));
}

/** The pid of the process that serves the instance, by `<runDir>/server.json`; `undefined` when none does. */
export async function serverPid(instance: KeptInstance): Promise<number | undefined> {
  const server = await readJson<ProcessIdentity>(join(instance.runDir, "server.json"));
  return server !== undefined && isAlive(server) ? server.pid : undefined;
}
