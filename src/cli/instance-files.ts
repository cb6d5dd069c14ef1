import { join } from "node:path";
import type { KeptInstance } from "../core/config.ts";
import { readTextIfAny } from "../host/files.ts";
import { readSuccession } from "../host/succession-file.ts";
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

/** The pid of the process that serves the instance, or is about to after the one before it; `undefined` when none does. */
export async function serverPid(instance: KeptInstance): Promise<number | undefined> {
  const successor = (await readSuccession(instance.runDir))?.successor;
  const server = await readServing(instance);
  return [server, successor].find((process) => process !== undefined && isAlive(process))?.pid;
}

/** Whether the process that serves the instance can start its successor; one of an earlier version cannot. */
export async function handsOver(instance: KeptInstance): Promise<boolean> {
  return (await readServing(instance))?.handsOver === true;
}

function readServing(instance: KeptInstance): Promise<(ProcessIdentity & { readonly handsOver?: boolean }) | undefined> {
  return readJson(join(instance.runDir, "server.json"));
}
