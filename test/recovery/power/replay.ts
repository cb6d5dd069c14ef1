/** Plays the calls of a trace on the model of the disk, and stops wherever the power may be cut. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { Disk, EVERYTHING, FileInode, FolderInode, type Inode } from "./disk.ts";
import { bytesOf, threadsOf, type Call } from "./trace.ts";

/** What has just happened, or is about to, where the power is cut. */
export type Moment = "before a sync" | "after a sync" | "after an acknowledgement" | "after a change";

interface OpenFile {
  readonly inode: Inode | "ledger";
  readonly appends: boolean;
  position: number;
}

export interface ReplayOptions {
  /** Of which the disk's root is the image; absolute. */
  readonly folder: string;
  /** The file that the program acknowledges in: a line each. It is on no disk that loses its power. */
  readonly ledger: string;
  onMoment(moment: Moment, disk: Disk, acknowledged: readonly string[]): void;
  /** Whether a call that a kill cut off was made all the same; the n-th of them, counted from 0. */
  happened(cutOff: number): boolean;
}

/** Of a program's runs one after the other in the same folder. */
export class Replay {
  readonly disk = new Disk();
  readonly #options: ReplayOptions;
  readonly #lines: string[] = [];
  #partial = "";
  #cutOff = 0;
  /** The disk's position when the run began. */
  #start = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** How many calls were cut off by a kill. */
  get cutOff(): number {
    return this.#cutOff;
  }

  /** The calls of one run. */
  play(calls: readonly Call[]): void {
    const files = new Map<number, OpenFile>();
    const positions: number[] = [];
    const threads = threadsOf(calls);
    for (const call of calls) {
      if (threads.has(call.thread) && (call.result !== undefined || this.#options.happened(this.#cutOff++)))
        this.#play(call, files, positions[call.beganAfter - 1] ?? this.#start);
      positions.push(this.disk.position);
    }
    this.#start = this.disk.position;
  }

  #play({ name, args, result }: Call, files: Map<number, OpenFile>, beganAt: number): void {
    const [first = "", second = "", third = "", fourth = ""] = args;
    switch (name) {
      case "open":
        return this.#open(first, second, result ?? NaN, files);
      case "openat":
        return this.#open(second, third, result ?? NaN, files);
      case "creat":
        return this.#open(first, "O_WRONLY|O_CREAT|O_TRUNC", result ?? NaN, files);
      case "close":
        return void files.delete(Number(first));
      case "write":
      case "writev":
        return this.#write(files.get(Number(first)), bytesOf(second).subarray(0, result));
      case "pwrite64":
      case "pwritev":
      case "pwritev2":
        return this.#write(files.get(Number(first)), bytesOf(second).subarray(0, result), Number(fourth));
      case "ftruncate":
        return this.#truncate(files.get(Number(first))?.inode, Number(second));
      case "truncate":
        return this.#truncate(this.#find(pathOf(first)), Number(second));
      case "fsync":
      case "fdatasync":
        return this.#sync(files.get(Number(first))?.inode, beganAt);
      case "mkdir":
        return this.#link(pathOf(first), new FolderInode());
      case "mkdirat":
        return this.#link(pathOf(second), new FolderInode());
      case "rename":
        return this.#rename(pathOf(first), pathOf(second));
      case "renameat":
      case "renameat2":
        return this.#rename(pathOf(second), pathOf(fourth));
      case "link":
        return this.#link(pathOf(second), this.#find(pathOf(first)));
      case "unlink":
      case "rmdir":
        return this.#link(pathOf(first), undefined);
      case "unlinkat":
        return this.#link(pathOf(second), undefined);
      case "clone":
      case "clone3":
        return;
      case "dup":
      case "dup2":
      case "dup3":
      case "lseek":
      case "fallocate":
      case "copy_file_range":
      case "sendfile":
      case "splice":
        if (args.some((argument) => files.has(Number(argument)))) throw new Error(`the model does not know ${name}(${args.join(", ")})`);
        return;
      default:
        throw new Error(`the model does not know ${name}`);
    }
  }

  #open(path: string, flags: string, descriptor: number, files: Map<number, OpenFile>): void {
    const absolute = pathOf(path);
    files.delete(descriptor);
    if (absolute === this.#options.ledger) return void files.set(descriptor, { inode: "ledger", appends: true, position: 0 });
    const parts = this.#parts(absolute);
    if (parts === undefined) return;
    const has = new Set(flags.split("|"));
    let inode = this.#find(absolute);
    if (inode === undefined) {
      if (!has.has("O_CREAT")) throw new Error(`${absolute} was opened, and the model has no such file`);
      inode = new FileInode();
      this.#link(absolute, inode);
    } else if (has.has("O_TRUNC")) {
      this.#truncate(inode, 0);
    }
    files.set(descriptor, { inode, appends: has.has("O_APPEND"), position: 0 });
  }

  #write(file: OpenFile | undefined, bytes: Buffer, offset?: number): void {
    if (file === undefined || bytes.length === 0) return;
    if (file.inode === "ledger") return this.#acknowledge(bytes.toString());
    if (file.inode.kind === "folder") throw new Error("a folder was written to");
    const at = offset ?? (file.appends ? file.inode.content().length : file.position);
    if (offset === undefined) file.position = at + bytes.length;
    this.disk.changeData(file.inode, { kind: "write", offset: at, bytes });
    this.#moment("after a change");
  }

  #truncate(inode: Inode | "ledger" | undefined, length: number): void {
    if (inode === undefined || inode === "ledger" || inode.kind === "folder") return;
    this.disk.changeData(inode, { kind: "truncate", length });
    this.#moment("after a change");
  }

  #sync(inode: Inode | "ledger" | undefined, beganAt: number): void {
    if (inode === undefined || inode === "ledger") return;
    this.#moment("before a sync");
    this.disk.sync(inode, beganAt);
    this.#moment("after a sync");
  }

  #link(path: string, inode: Inode | undefined): void {
    const place = this.#place(path);
    if (place === undefined) return;
    this.disk.changeNames(place.folder, new Map([[place.name, inode]]));
    this.#moment("after a change");
  }

  #rename(from: string, to: string): void {
    const [source, target] = [this.#place(from), this.#place(to)];
    if (source === undefined || target === undefined) {
      if (source !== undefined || target !== undefined) throw new Error(`a rename in or out of the folder: ${from} to ${to}`);
      return;
    }
    const inode = source.folder.names.get(source.name);
    if (source.folder === target.folder) {
      const change = new Map<string, Inode | undefined>([[source.name, undefined]]);
      this.disk.changeNames(source.folder, change.set(target.name, inode));
    } else {
      this.disk.changeNames(target.folder, new Map([[target.name, inode]]));
      this.disk.changeNames(source.folder, new Map([[source.name, undefined]]));
    }
    this.#moment("after a change");
  }

  #acknowledge(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    this.#lines.push(...lines);
    this.#moment("after an acknowledgement");
  }

  #moment(moment: Moment): void {
    this.#options.onMoment(moment, this.disk, this.#lines);
  }

  /** `undefined` for what is outside the folder. */
  #parts(path: string): readonly string[] | undefined {
    const inside = relative(this.#options.folder, path);
    if (inside === "") return [];
    return inside.startsWith("..") ? undefined : inside.split("/");
  }

  #find(path: string): Inode | undefined {
    let inode: Inode | undefined = this.disk.root;
    for (const part of this.#parts(path) ?? ["\0"]) inode = inode?.kind === "folder" ? inode.names.get(part) : undefined;
    return inode;
  }

  #place(path: string): { readonly folder: FolderInode; readonly name: string } | undefined {
    const parts = this.#parts(path);
    const name = parts?.at(-1);
    if (parts === undefined || name === undefined) return undefined;
    const folder = this.#find(join(path, ".."));
    if (folder?.kind !== "folder") throw new Error(`${path}: the model has no such folder`);
    return { folder, name };
  }

  /** Differences between the model and the folder as it is now: none unless a change escaped the trace, or a kill cut one off. */
  differences(): readonly string[] {
    const model = this.disk.image(EVERYTHING);
    const found: string[] = [];
    const seen = new Set<string>();
    for (const entry of readdirSync(this.#options.folder, { recursive: true, encoding: "utf8" })) {
      const path = join(this.#options.folder, entry);
      const isFolder = statSync(path).isDirectory();
      const key = isFolder ? `${entry}/` : entry;
      seen.add(key);
      if (!model.has(key)) found.push(`${key} is not in the model`);
      else if (!isFolder && !isMapped(key) && !readFileSync(path).equals(model.get(key) ?? Buffer.alloc(0))) found.push(`${key} has other content`);
    }
    for (const key of model.keys()) if (!seen.has(key)) found.push(`${key} is only in the model`);
    return found;
  }
}

/** SQLite's index of its log: written through a mapping, made anew by whoever opens the database first. */
export function isMapped(path: string): boolean {
  return path.endsWith("-shm");
}

function pathOf(argument: string): string {
  return bytesOf(argument).toString();
}
