import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** One file of a container's log: the current `0.log`, or one that was rotated away as `0.log.<number>`. */
export interface LogFile {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  readonly sizeBytes: number;
}

const IDENTITY_BYTES = 64;

/** The files of a log, oldest first, the current one last. Compressed ones are not logs any more. */
export async function listLogFiles(path: string): Promise<readonly LogFile[]> {
  for (;;) {
    const files = await listOnce(path);
    if (files !== undefined) return files;
  }
}

/** `undefined` when a file that was listed has another name by now, or none. */
async function listOnce(path: string): Promise<readonly LogFile[] | undefined> {
  const [folder, current] = [dirname(path), basename(path)];
  const names: readonly string[] = await readdir(folder).catch(() => []);
  const rotated = names.filter((name) => name.startsWith(`${current}.`) && !/\.(?:gz|tmp)$/.test(name)).sort();
  const found: LogFile[] = [];
  for (const name of names.includes(current) ? [...rotated, current] : rotated) {
    const file = await statLogFile(join(folder, name));
    if (file === undefined) return undefined;
    // A rename between the listing and here shows a file twice.
    if (!found.some((each) => each.inode === file.inode)) found.push(file);
  }
  return found;
}

/** The name for a file that is rotated away now. Numbers, not times: a clock that is set back must not change the order. */
export function nextRotatedPath(path: string, files: readonly LogFile[]): string {
  const last = Math.max(0, ...files.map((file) => Number(/\.(\d+)$/.exec(file.path)?.[1] ?? 0)));
  return `${path}.${String(last + 1).padStart(8, "0")}`;
}

/** `undefined` when it has gone. */
export async function openLogFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** `undefined` when it is not there. */
export async function statLogFile(path: string): Promise<LogFile | undefined> {
  try {
    const { dev, ino, size } = await stat(path);
    return { path, device: dev, inode: ino, sizeBytes: size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * What tells a log file from every other of the same container, however it is renamed, copied or truncated: its first line's time, in
 * nanoseconds, and stream. `undefined` while it has no line.
 */
export async function identityOf(file: FileHandle): Promise<string | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(IDENTITY_BYTES), 0, IDENTITY_BYTES, 0);
  const head = buffer.toString("latin1", 0, bytesRead);
  const [time, stream, rest] = head.split(" ", 3);
  if (rest !== undefined) return `${time}/${stream}`;
  return bytesRead === IDENTITY_BYTES || head.includes("\n") ? head.split("\n", 1)[0] : undefined;
}

/** Where reading may begin at `offset`: at a line's start, or inside the text of the line with this head. */
export async function headerBefore(file: FileHandle, offset: number): Promise<string | undefined> {
  const block = 64 * 1024;
  for (let end = offset; end > 0;) {
    const start = Math.max(0, end - block);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (newline >= 0 && start + newline + 1 === offset) return undefined;
    if (newline >= 0 || start === 0) return readHeaderAt(file, newline >= 0 ? start + newline + 1 : 0);
    end = start;
  }
  return undefined;
}

async function readHeaderAt(file: FileHandle, offset: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(128), 0, 128, offset);
  return /^(?:\S+ ){3}/.exec(buffer.toString("latin1", 0, bytesRead))?.[0] ?? "";
}
