import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyPluginAsync } from "fastify";
import { CLUSTER_SECRETS, CLUSTERS, type ClusterRecord } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { accessReviewAnswer, reviewAccess, type AccessReviewSpec } from "./access-review.ts";
import { logAuthentication } from "./log-authentication.ts";
import { questionPath, type Question } from "./paths.ts";
import { reviewToken, tokenReviewAnswer } from "./token-review.ts";

interface Params {
  readonly uid: string;
  readonly secret: string;
}

/** What clusters' API servers ask of Tidegate, from inside their VPCs. Each shows its cluster's secret. */
export function accessPlugin(room: EksRoom): FastifyPluginAsync {
  return async (app) => {
    const answer = (question: Question, reply: (cluster: ClusterRecord, spec: unknown) => Promise<unknown>): void => {
      app.post<{ Params: Params; Body: { readonly spec?: unknown } | null }>(questionPath(":uid", ":secret", question), async (request, response) => {
        void response.header("cache-control", "no-store");
        const cluster = await askingCluster(room, request.params);
        if (cluster === undefined)
          return response.code(401).send({ message: "this endpoint is for the API servers of this instance's EKS clusters" });
        return reply(cluster, request.body?.spec ?? {});
      });
    };
    answer("token-review", async (cluster, spec) => {
      const { token } = spec as { readonly token?: unknown };
      const review = await reviewToken(room, cluster, typeof token === "string" ? token : "");
      await logAuthentication(room, cluster, review);
      if ("fault" in review) room.logger.info(`EKS cluster ${cluster.name}: a token was refused: ${review.fault}`);
      return tokenReviewAnswer(review);
    });
    answer("access-review", async (cluster, spec) => accessReviewAnswer(await reviewAccess(room, cluster, spec as AccessReviewSpec)));
  };
}

async function askingCluster(room: EksRoom, { uid, secret }: Params): Promise<ClusterRecord | undefined> {
  const cluster = (await room.store.list(CLUSTERS)).find(({ value }) => value.uid === uid);
  const secrets = cluster === undefined ? undefined : await room.store.get(CLUSTER_SECRETS, cluster.key);
  return secrets !== undefined && isSame(secret, secrets.value.reviewSecret) ? cluster?.value : undefined;
}

/** In time that depends on neither text's content. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
