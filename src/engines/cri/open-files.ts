import { readdirSync, statSync } from "node:fs";

/** Whether a process has a file open, by the kernel's own list; false when there is no such process. */
export function hasOpen(pid: number, { device, inode }: { readonly device: number; readonly inode: number }): boolean {
  const folder = `/proc/${pid}/fd`;
  return namesIn(folder).some((name) => {
    // Follows the link to the very file, whatever it is called by now.
    const open = statSync(`${folder}/${name}`, { throwIfNoEntry: false });
    return open?.ino === inode && open.dev === device;
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
