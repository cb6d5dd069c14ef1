import { timingSafeEqual } from "node:crypto";
import type { FastifyPluginAsync } from "fastify";
import { isProblem } from "../core/problem.ts";
import type { ClusterSnapshots, PruneReport, StatusReport, TaskTimeline } from "../core/status-report.ts";

export interface OwnEndpoints {
  /** What a caller must send; see `core/own-token.ts`. */
  token(this: void): Promise<string>;
  status(this: void): Promise<StatusReport>;
  prune(this: void): Promise<PruneReport>;
  /** `undefined` when there is no such task. */
  timeline(this: void, taskId: string): Promise<TaskTimeline | undefined>;
  /** Of an EKS cluster; `undefined` when there is none of that name. */
  snapshots(this: void, cluster: string): Promise<ClusterSnapshots | undefined>;
  /** @throws Problem `not-found`, `conflict` */
  recover(this: void, asked: { readonly name: string; readonly snapshot: string }): Promise<void>;
}

/**
 * What AWS's API has no words for, under `/_tidegate/`. The listener is open to the VPCs too, so each call needs the token that
 * only who may read the instance's root key can make.
 */
export function ownEndpoints({ token, status, prune, timeline, snapshots, recover }: OwnEndpoints): FastifyPluginAsync {
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
    app.get<{ Params: { name: string } }>("/_tidegate/eks/clusters/:name/snapshots", async (request, reply) => {
      const found = await snapshots(request.params.name);
      return found ?? reply.code(404).send({ message: `there is no EKS cluster ${request.params.name}` });
    });
    app.post<{ Params: { name: string; snapshot: string } }>("/_tidegate/eks/clusters/:name/snapshots/:snapshot/restore", async (request, reply) => {
      try {
        await recover(request.params);
        return {};
      } catch (error) {
        if (!isProblem(error, "not-found", "conflict")) throw error;
        return reply.code(409).send({ message: error.message });
      }
    });
  };
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
