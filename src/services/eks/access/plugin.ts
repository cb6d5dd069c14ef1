import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyPluginAsync } from "fastify";
import { CLUSTER_SECRETS, CLUSTERS } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { reviewToken, tokenReviewAnswer, tokenReviewPath } from "./token-review.ts";

interface TokenReviewRequest {
  readonly spec?: { readonly token?: unknown };
}

/** What clusters' API servers ask of Tidegate, from inside their VPCs. Each shows its cluster's secret. */
export function accessPlugin(room: EksRoom): FastifyPluginAsync {
  return async (app) => {
    app.post<{ Params: { uid: string; secret: string }; Body: TokenReviewRequest }>(tokenReviewPath(":uid", ":secret"), async (request, reply) => {
      void reply.header("cache-control", "no-store");
      const { uid, secret } = request.params;
      const cluster = (await room.store.list(CLUSTERS)).find(({ value }) => value.uid === uid);
      const secrets = cluster === undefined ? undefined : await room.store.get(CLUSTER_SECRETS, cluster.key);
      if (cluster === undefined || secrets === undefined || !isSame(secret, secrets.value.reviewSecret)) {
        return reply.code(401).send({ message: "this endpoint is for the API servers of this instance's EKS clusters" });
      }
      const token = request.body?.spec?.token;
      const review = await reviewToken(room, cluster.value, typeof token === "string" ? token : "");
      if ("fault" in review) room.logger.info(`EKS cluster ${cluster.value.name}: a token was refused: ${review.fault}`);
      return tokenReviewAnswer(review);
    });
  };
}

/** In time that depends on neither text's content. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
