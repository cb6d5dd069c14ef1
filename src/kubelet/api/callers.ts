import { createHash } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import type { KubernetesClient } from "../kubernetes-client.ts";
import type { KubeletCall, Refusal } from "./routes.ts";

/** Who calls, as far as the connection and the request say. */
export interface Caller {
  /** Of a client certificate that the cluster's authority has signed. */
  readonly commonName?: string;
  readonly token?: string;
}

/** What others than the API server may be allowed: to look at figures, by the subresource of the node that RBAC knows them by. */
const SUBRESOURCES: Partial<Record<KubeletCall["type"], string>> = {
  health: "healthz",
  pods: "pods",
  summary: "stats",
  "resource-metrics": "metrics",
};
const KEEP_MS = 60_000;
const MOST_KEPT = 10_000;

export interface Question {
  readonly call: KubeletCall;
  readonly caller: Caller;
  readonly nodeName: string;
  readonly clusterUid: string;
  /** Of the API server's certificate for nodes. */
  readonly apiServerName: string;
  readonly client: () => Promise<Pick<KubernetesClient, "userOf" | "mayGetNode">>;
}

/**
 * Who may ask a node what. The API server, known by its client certificate, may all. Others show a token of the cluster and may, where RBAC lets
 * them, look at figures, as metrics-server and Prometheus do; into a container nobody comes by a token.
 */
export class Callers {
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly isAllowed: boolean; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `undefined` for whom it is open. @throws Problem `unavailable` while the API server cannot be asked. */
  async refusal(question: Question): Promise<Refusal | undefined> {
    const { call, caller, nodeName } = question;
    if (caller.commonName === question.apiServerName) return undefined;
    const subresource = SUBRESOURCES[call.type];
    if (caller.token === undefined) return { status: 401, words: "Unauthorized" };
    if (subresource === undefined) return { status: 403, words: `Forbidden (only the API server may ask a node for ${call.type})` };
    const digest = createHash("sha256").update(caller.token).digest("base64");
    const key = [question.clusterUid, nodeName, subresource, digest].join("|");
    const known = this.#known.get(key);
    if (known !== undefined && known.untilMs > this.#clock.steadyMs()) return known.isAllowed ? undefined : forbidden(subresource);
    const client = await question.client();
    const user = await client.userOf(caller.token);
    if (user === undefined) return { status: 401, words: "Unauthorized" };
    const isAllowed =
      (await client.mayGetNode(user, { name: nodeName, subresource })) || (await client.mayGetNode(user, { name: nodeName, subresource: "proxy" }));
    if (this.#known.size >= MOST_KEPT) this.#known.clear();
    this.#known.set(key, { isAllowed, untilMs: this.#clock.steadyMs() + KEEP_MS });
    return isAllowed ? undefined : forbidden(subresource);
  }
}

function forbidden(subresource: string): Refusal {
  return { status: 403, words: `Forbidden (verb=get, resource=nodes, subresource(s)=[${subresource} proxy])` };
}
