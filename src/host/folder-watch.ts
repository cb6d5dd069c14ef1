import { existsSync, watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";

/**
 * Calls `onChange` when something in `folder` is made, written, renamed or removed (inotify). A folder that does not exist yet is awaited
 * at its nearest ancestor. May call too often, never promises to call: the owner re-checks from time to time, and then calls `refresh`.
 */
export class FolderWatch implements Disposable {
  readonly #folder: string;
  readonly #onChange: () => void;
  readonly #onError: (error: unknown) => void;
  #watcher: FSWatcher | undefined;
  #watched: string | undefined;
  #closed = false;

  constructor(folder: string, on: { change(): void; error(error: unknown): void }) {
    this.#folder = folder;
    this.#onChange = () => on.change();
    this.#onError = (error) => on.error(error);
    this.refresh();
  }

  /** Watches the folder itself as soon as it is there. */
  refresh(): void {
    while (!this.#closed && this.#watched !== this.#folder) {
      const target = nearestExisting(this.#folder);
      if (target === this.#watched || !this.#watch(target)) return;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#watcher?.close();
  }

  #watch(target: string): boolean {
    this.#watcher?.close();
    this.#watched = undefined;
    try {
      const watcher = watch(target, { persistent: false }, () => {
        if (this.#watched !== this.#folder) this.refresh();
        this.#onChange();
      });
      watcher.on("error", (error) => {
        if (this.#watcher === watcher) this.#watched = undefined;
        this.#onError(error);
      });
      this.#watcher = watcher;
      this.#watched = target;
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
      this.#onError(error);
      return false;
    }
  }
}

function nearestExisting(folder: string): string {
  let at = folder;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}
