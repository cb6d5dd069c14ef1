import { mkdir, open, writeFile, chmod } from "node:fs/promises";
import { dirname } from "node:path";

/** Of the kubelet: what one container may say, and all of a pod together. */
const MESSAGE_BYTES = 4096;
const TOGETHER_BYTES = 12_288;
const LOG_BYTES = 2048;
const LOG_LINES = 80;
/** Of the log's file: lines begin with a time, a stream and a tag. */
const READ_BYTES = 16_384;

/** Makes the empty file that a container may write its last words to, whoever it runs as. */
export async function prepareMessage(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "", { flag: "a" });
  await chmod(path, 0o666);
}

export interface MessageSources {
  readonly path: string;
  /** Of its log in CRI's format, where that stands in for words that it did not leave. */
  readonly logPath?: string;
  /** How many containers share what a pod may say. */
  readonly containers: number;
}

/** A container's last words; "" without any. */
export async function readMessage({ path, logPath, containers }: MessageSources): Promise<string> {
  const said = await start(path, Math.min(MESSAGE_BYTES, Math.floor(TOGETHER_BYTES / Math.max(1, containers))));
  if (said !== "" || logPath === undefined) return said;
  return lastLines(await end(logPath, READ_BYTES));
}

/** The output itself of the last lines of a log in CRI's format. Pure. */
export function lastLines(log: string): string {
  const entries = log.split("\n").flatMap((line) => /^\S+ (?:stdout|stderr) ([FP])\S* ?(.*)$/.exec(line) ?? []);
  const texts: string[] = [];
  for (let index = 0; index < entries.length; index += 3) texts.push(`${entries[index + 2] ?? ""}${entries[index + 1] === "F" ? "\n" : ""}`);
  const bytes = Buffer.from(texts.slice(-LOG_LINES).join(""));
  return bytes.subarray(Math.max(0, bytes.length - LOG_BYTES)).toString();
}

async function start(path: string, bytes: number): Promise<string> {
  return (await read(path, () => ({ from: 0, bytes }))) ?? "";
}

async function end(path: string, bytes: number): Promise<string> {
  return (await read(path, (size) => ({ from: Math.max(0, size - bytes), bytes }))) ?? "";
}

async function read(path: string, part: (size: number) => { readonly from: number; readonly bytes: number }): Promise<string | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { from, bytes } = part((await file.stat()).size);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, from);
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await file.close();
  }
}
