import { timingSafeEqual } from "node:crypto";
import type { FastifyPluginAsync } from "fastify";
import type { PruneReport, StatusReport, TaskTimeline } from "../core/status-report.ts";

export interface OwnEndpoints {
  /** What a caller must send; see `core/own-token.ts`. */
  token(this: void): Promise<string>;
  status(this: void): Promise<StatusReport>;
  prune(this: void): Promise<PruneReport>;
  /** `undefined` when there is no such task. */
  timeline(this: void, taskId: string): Promise<TaskTimeline | undefined>;
}

/**
 * What AWS's API has no words for, under `/_tidegate/`. The listener is open to the VPCs too, so each call needs the token that
 * only who may read the instance's root key can make.
 */
export function ownEndpoints({ token, status, prune, timeline }: OwnEndpoints): FastifyPluginAsync {
  return async (app) => {
    app.addHook("onRequest", async (request, reply) => {
      void reply.header("cache-control", "no-store");
      const known = isSame(request.headers.authorization ?? "", `Bearer ${await token()}`);
      if (!known) await reply.code(401).send({ message: "this endpoint is for the command line of this instance" });
    });
    app.get("/_tidegate/status", async () => status());
    app.post("/_tidegate/images/prune", async () => prune());
    app.get<{ Params: { id: string } }>("/_tidegate/tasks/:id", async (request, reply) => {
      const found = await timeline(request.params.id);
      return found ?? reply.code(404).send({ message: `there is no task ${request.params.id}` });
    });
  };
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
