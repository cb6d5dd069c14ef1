import type { KubeConfig, KubernetesListObject, KubernetesObject } from "@kubernetes/client-node";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { problemOf } from "./api-errors.ts";

const RECONNECT_MS = 1000;

/** All objects of a kind in a cluster, as the watch last told. */
export interface ObjectWatch<T> extends Disposable {
  get(uid: string): T | undefined;
  list(): readonly T[];
}

export interface WatchOptions<T extends KubernetesObject> {
  readonly config: KubeConfig;
  /** e.g. `/api/v1/pods`. */
  readonly path: string;
  readonly list: () => Promise<KubernetesListObject<T>>;
  readonly fieldSelector?: string;
  /** Called with each object that is new, changed or gone. */
  readonly onChange: (object: T) => void;
  readonly clock: Clock;
  /** It says which cluster it is. */
  readonly logger: Logger;
}

/** Resolves once the objects are known; from then on a watch that breaks off begins anew by itself. @throws Problem when they cannot be listed. */
export async function watchObjects<T extends KubernetesObject>(options: WatchOptions<T>): Promise<ObjectWatch<T>> {
  const { config, path, list, fieldSelector, onChange, clock, logger } = options;
  const { ListWatch, Watch } = await import("@kubernetes/client-node");
  const known = new Map<string, T>();
  const informer = new ListWatch<T>(path, new Watch(config), list, false, undefined, fieldSelector);
  /** UIDs by name. The library goes by names: one that was deleted and made anew while nobody watched is an update to it. */
  const uids = new Map<string, string>();
  const forget = (uid: string): void => {
    const gone = known.get(uid);
    known.delete(uid);
    if (gone !== undefined) onChange(gone);
  };
  const put = (object: T): void => {
    const [name, uid] = [nameOf(object), uidOf(object)];
    const before = uids.get(name);
    uids.set(name, uid);
    known.set(uid, object);
    if (before !== undefined && before !== uid) forget(before);
    onChange(object);
  };
  informer.on("add", put);
  informer.on("update", put);
  informer.on("delete", (object) => {
    const [name, uid] = [nameOf(object), uidOf(object)];
    if (uids.get(name) === uid) uids.delete(name);
    known.delete(uid);
    onChange(object);
  });
  const ended = new AbortController();
  let first: ((error: Error) => void) | undefined;
  const restart = async (): Promise<void> => {
    try {
      if (!ended.signal.aborted) await informer.start();
    } catch (error) {
      logger.error("a watch of a cluster does not begin anew; restart Tidegate", { path, err: error });
    }
  };
  informer.on("error", (error: unknown) => {
    if (ended.signal.aborted) return;
    if (first !== undefined) return first(problemOf(error));
    logger.warn("a watch of a cluster broke off; it begins anew", { path, err: error });
    clock.setTimer(RECONNECT_MS, () => void restart());
  });
  await new Promise<void>((resolve, reject) => {
    first = reject;
    informer.start().then(resolve, (error: unknown) => reject(problemOf(error)));
  });
  first = undefined;
  return {
    [Symbol.dispose]() {
      ended.abort();
      void informer.stop();
    },
    get: (uid) => known.get(uid),
    list: () => [...known.values()],
  };
}

function nameOf({ metadata }: KubernetesObject): string {
  return `${metadata?.namespace ?? ""}/${metadata?.name}`;
}

function uidOf({ metadata }: KubernetesObject): string {
  return metadata?.uid ?? "";
}
