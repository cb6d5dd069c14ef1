import { systemClock } from "../../../core/clock.ts";

const LOOK_MS = 500;
const ANSWER_WITHIN_MS = 5_000;
/** Who answers, by the header `Server`, when it is the load balancer itself. */
const LOAD_BALANCER = "awselb/2.0";
/** What it says where no pod answers it. */
const NOBODY_ANSWERS: readonly number[] = [502, 503, 504];

/**
 * Whether an answer is the load balancer's own, for want of a pod. Not so what an app says, its 503 neither, nor what it hands on from behind another
 * load balancer. Pure.
 */
export function isForWantOfPods({ status, headers }: Pick<Response, "status" | "headers">): boolean {
  return NOBODY_ANSWERS.includes(status) && headers.get("server") === LOAD_BALANCER;
}

/**
 * The first pods of a cluster may be there before the policy that makes pods wait for their load balancer: until they are registered, it has
 * nobody to ask, and answers itself. An answer of the app's, whatever it is, ends the wait; so do the time (`untilMs`, steady) and an
 * interruption, as the pods run.
 */
export async function untilAppAnswers(
  url: string,
  { say, untilMs, signal }: { readonly say: (text: string) => void; readonly untilMs: number; readonly signal: AbortSignal },
): Promise<void> {
  for (let isFirst = true; systemClock.steadyMs() < untilMs && !signal.aborted; isFirst = false) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
    const response = await fetch(url, { headers: { connection: "close" }, redirect: "manual", signal: limit }).catch(() => undefined);
    await response?.body?.cancel();
    if (response !== undefined && !isForWantOfPods(response)) return;
    if (isFirst) say("waiting for the load balancer to have the pods");
    await systemClock.sleep(LOOK_MS);
  }
}
