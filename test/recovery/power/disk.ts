/**
 * The model of a disk that loses its power, after ALICE ("All File Systems Are Not Created Equal", OSDI 2014), as pessimistic as POSIX
 * allows:
 *
 * - What was written to a file is sure once an fsync or fdatasync of that file, begun after the write, has returned. Until then each write
 *   may be there, or not, or some of its 512-byte sectors; a later one without an earlier one; or the length without the content (zeros).
 *   One sector is written whole or not at all.
 * - A name (create, rename, unlink, mkdir) is sure once its folder was synced, and reached only through names that are sure. Until then
 *   each change of a folder may be there or not, in any order. A sync of the file does not keep its name.
 * - A rename within a folder is one change; between two folders it is two, each of which may be there without the other.
 *
 * Not in it: times, modes and owners; files that are written through a mapping (of ours only SQLite's `-shm`, which is made anew); what a
 * broken disk does to what was sure.
 */
import type { Random } from "../matrix.ts";

const SECTOR_BYTES = 512;

export type DataChange =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly length: number };

/** Names of one folder that change together: to an inode, or to nothing. */
export type NameChange = ReadonlyMap<string, Inode | undefined>;

interface Pending<T> {
  readonly change: T;
  /** Its place in the row of all changes. */
  readonly at: number;
}

export class FileInode {
  readonly kind = "file";
  durable: Buffer = Buffer.alloc(0);
  pending: Pending<DataChange>[] = [];

  /** What a program reads now. */
  content(): Buffer {
    return this.pending.reduce((content, { change }) => applied(content, change), this.durable);
  }
}

export class FolderInode {
  readonly kind = "folder";
  /** What a program sees now. */
  readonly names = new Map<string, Inode>();
  readonly durable = new Map<string, Inode>();
  pending: Pending<NameChange>[] = [];
}

export type Inode = FileInode | FolderInode;

/** Which of the changes that nobody made sure had reached the disk when the power went. */
export interface Survival {
  readonly name: string;
  /** Whether a change of names did; `at` is its place in the row of all changes. */
  keepsNames(at: number): boolean;
  /** Of a write: all of it, nothing, only its length, or the sectors that the answer says. */
  keepsData(at: number): "all" | "none" | "length" | ((sector: number) => boolean);
}

export const NOTHING: Survival = { name: "nothing unsynced survives", keepsNames: () => false, keepsData: () => "none" };
export const EVERYTHING: Survival = { name: "all survives", keepsNames: () => true, keepsData: () => "all" };
export const NAMES_ONLY: Survival = { name: "names without content", keepsNames: () => true, keepsData: () => "none" };
export const LENGTHS_ONLY: Survival = { name: "names and lengths, zeros for content", keepsNames: () => true, keepsData: () => "length" };
export const DATA_ONLY: Survival = { name: "content without names", keepsNames: () => false, keepsData: () => "all" };

/** What was changed first survives: as a journal keeps it. */
export function before(position: number): Survival {
  return {
    name: `what was changed before ${position} survives`,
    keepsNames: (at) => at < position,
    keepsData: (at) => (at < position ? "all" : "none"),
  };
}

/** Draws for each change. */
export function drawn(random: Random, name: string): Survival {
  const likely = random.pick([0.2, 0.5, 0.8]);
  return {
    name: `drawn, ${name}`,
    keepsNames: () => random.next() < likely,
    keepsData: () => {
      if (random.next() < likely) return "all";
      const how = random.between(0, 3);
      if (how === 0) return "none";
      if (how === 1) return "length";
      if (how === 2) return () => random.next() < 0.5;
      const until = random.between(0, 8);
      return (sector) => sector < until;
    },
  };
}

/** A folder as files with their content; folders end with a slash and have none. */
export type Image = ReadonlyMap<string, Buffer | undefined>;

export class Disk {
  readonly root = new FolderInode();
  #changes = 0;

  /** How many changes there were: what a sync that begins now will cover. */
  get position(): number {
    return this.#changes;
  }

  changeData(file: FileInode, change: DataChange): void {
    file.pending.push({ change, at: this.#changes++ });
  }

  changeNames(folder: FolderInode, change: NameChange): void {
    for (const [name, inode] of change) setName(folder.names, name, inode);
    folder.pending.push({ change, at: this.#changes++ });
  }

  /** Makes sure what was changed before `position`. */
  sync(inode: Inode, position: number): void {
    if (inode.kind === "file") {
      for (const { change } of inode.pending.filter((each) => each.at < position)) inode.durable = applied(inode.durable, change);
      inode.pending = inode.pending.filter((each) => each.at >= position);
    } else {
      for (const { change } of inode.pending.filter((each) => each.at < position)) {
        for (const [name, target] of change) setName(inode.durable, name, target);
      }
      inode.pending = inode.pending.filter((each) => each.at >= position);
    }
  }

  /** What is on the disk after a cut now. */
  image(survival: Survival): Image {
    const image = new Map<string, Buffer | undefined>();
    const contents = new Map<FileInode, Buffer>();
    const visit = (folder: FolderInode, path: string, above: ReadonlySet<FolderInode>): void => {
      const names = new Map(folder.durable);
      for (const { change, at } of folder.pending) {
        if (survival.keepsNames(at)) for (const [name, inode] of change) setName(names, name, inode);
      }
      for (const [name, inode] of names) {
        if (inode.kind === "file") {
          const content = contents.get(inode) ?? surviving(inode, survival);
          contents.set(inode, content);
          image.set(path + name, content);
        } else if (!above.has(inode)) {
          image.set(`${path}${name}/`, undefined);
          visit(inode, `${path}${name}/`, new Set([...above, inode]));
        }
      }
    };
    visit(this.root, "", new Set([this.root]));
    return image;
  }
}

function setName(names: Map<string, Inode>, name: string, inode: Inode | undefined): void {
  if (inode === undefined) names.delete(name);
  else names.set(name, inode);
}

function surviving(file: FileInode, survival: Survival): Buffer {
  let content = file.durable;
  for (const { change, at } of file.pending) {
    const keeps = survival.keepsData(at);
    if (keeps === "none") continue;
    if (keeps === "all" || change.kind === "truncate") content = applied(content, change);
    else content = partly(content, change, keeps === "length" ? () => false : keeps);
  }
  return content;
}

function applied(content: Buffer, change: DataChange): Buffer {
  if (change.kind === "truncate") return resized(content, change.length);
  const next = resized(content, Math.max(content.length, change.offset + change.bytes.length));
  change.bytes.copy(next, change.offset);
  return next;
}

/** The file is as long as after the write, and has those of its sectors that `keeps` says. */
function partly(content: Buffer, { offset, bytes }: Extract<DataChange, { kind: "write" }>, keeps: (sector: number) => boolean): Buffer {
  const next = resized(content, Math.max(content.length, offset + bytes.length));
  const first = Math.floor(offset / SECTOR_BYTES);
  for (let sector = first; sector * SECTOR_BYTES < offset + bytes.length; sector++) {
    if (!keeps(sector - first)) continue;
    const from = Math.max(offset, sector * SECTOR_BYTES);
    bytes.copy(next, from, from - offset, Math.min(bytes.length, (sector + 1) * SECTOR_BYTES - offset));
  }
  return next;
}

/** A copy of that length. */
function resized(content: Buffer, length: number): Buffer {
  const next = Buffer.alloc(length);
  content.copy(next, 0, 0, Math.min(length, content.length));
  return next;
}
