import type { Controller } from "../../contracts/controller.ts";
import type { Store } from "../../contracts/store.ts";
import type { Clock } from "../../core/clock.ts";
import { isProblem } from "../../core/problem.ts";
import { SESSIONS } from "./records.ts";

/** Expired sessions are kept this long, so that their holders are told "expired" and not "unknown". */
const KEPT_AFTER_EXPIRY_MS = 24 * 3600_000;

/** Deletes sessions a day after they expired. */
export function createSessionSweep({ store, clock }: { readonly store: Store; readonly clock: Clock }): Controller {
  return {
    name: "iam-session-sweep",
    watches: [{ collection: SESSIONS, keysOf: (change) => (change.value !== undefined && change.previous === undefined ? [change.key] : []) }],
    initialKeys: async () => (await store.list(SESSIONS)).map(({ key }) => key),
    async reconcile(key) {
      const found = await store.get(SESSIONS, key);
      if (found === undefined) return {};
      const leftMs = found.value.expirationMs + KEPT_AFTER_EXPIRY_MS - clock.nowMs();
      if (leftMs > 0) return { requeueAfterMs: leftMs };
      try {
        await store.transact([{ op: "delete", collection: SESSIONS, key, ifRevision: found.revision }]);
      } catch (error) {
        if (!isProblem(error, "not-found", "conflict")) throw error;
      }
      return {};
    },
  };
}
