import { expect, test } from "vitest";
import { FakeClock } from "../../core/clock.ts";
import type { ReviewedUser } from "../kubernetes-client.ts";
import { Callers, type Caller } from "./callers.ts";
import type { KubeletCall } from "./routes.ts";

const FIGURES: KubeletCall = { type: "resource-metrics" };
const EXEC: KubeletCall = {
  type: "exec",
  namespace: "default",
  pod: "web",
  container: "app",
  command: ["sh"],
  stdin: false,
  stdout: true,
  stderr: false,
  tty: false,
};

function clusterOf(rights: readonly string[]): {
  ask: (call: KubeletCall, caller: Caller) => Promise<number>;
  asked: () => number;
  later: (ms: number) => Promise<void>;
} {
  const clock = new FakeClock();
  const callers = new Callers(clock);
  let asked = 0;
  const client = {
    async userOf(token: string): Promise<ReviewedUser | undefined> {
      asked++;
      return token === "good" ? { username: "system:serviceaccount:kube-system:metrics-server", groups: [] } : undefined;
    },
    mayGetNode: async (_user: ReviewedUser, { subresource }: { readonly subresource: string }) => rights.includes(subresource),
  };
  const question = { nodeName: "fargate-ip-10-0-1-2", clusterUid: "1", apiServerName: "api-server", client: async () => client };
  return {
    ask: async (call, caller) => (await callers.refusal({ ...question, call, caller }))?.status ?? 200,
    asked: () => asked,
    later: (ms) => clock.advance(ms),
  };
}

test("the API server may all; another certificate of the same authority nothing", async () => {
  const { ask } = clusterOf([]);
  for (const call of [FIGURES, EXEC]) {
    expect(await ask(call, { commonName: "api-server" })).toBe(200);
    expect(await ask(call, { commonName: "kubernetes-admin" })).toBe(401);
    expect(await ask(call, {})).toBe(401);
  }
});

test("a token opens figures where RBAC lets it, and never a container", async () => {
  for (const right of ["metrics", "proxy"]) {
    const { ask } = clusterOf([right]);
    expect(await ask(FIGURES, { token: "good" })).toBe(200);
    expect(await ask(EXEC, { token: "good" })).toBe(403);
  }
  const { ask } = clusterOf(["stats"]);
  expect(await ask(FIGURES, { token: "good" })).toBe(403);
  expect(await ask({ type: "summary" }, { token: "good" })).toBe(200);
  expect(await ask(FIGURES, { token: "bad" })).toBe(401);
});

test("what was answered is asked again after a minute", async () => {
  const { ask, asked, later } = clusterOf(["metrics"]);
  await ask(FIGURES, { token: "good" });
  await ask(FIGURES, { token: "good" });
  expect(asked()).toBe(1);
  await later(61_000);
  await ask(FIGURES, { token: "good" });
  expect(asked()).toBe(2);
});
