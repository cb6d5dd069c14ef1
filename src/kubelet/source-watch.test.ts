import type * as Kubernetes from "@kubernetes/client-node";
import type { KubeConfig } from "@kubernetes/client-node";
import { expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { type SourceName, watchSources } from "./source-watch.ts";

interface Begun {
  readonly path: string;
  readonly resourceVersion: string | undefined;
  readonly request: AbortController;
  readonly onEvent: (type: string, object: object) => void;
  readonly done: (error: unknown) => void;
}

class Config {
  loadFromOptions(): void {}
  async applySecurityAuthentication(): Promise<void> {}
}

it("goes on where it broke off, and says so where it cannot: what has gone meanwhile is told by nobody", async () => {
  const watches: Begun[] = [];
  class Watch {
    async watch(
      path: string,
      query: { readonly resourceVersion?: string },
      onEvent: Begun["onEvent"],
      done: Begun["done"],
    ): Promise<AbortController> {
      const request = new AbortController();
      if (path.endsWith("secrets")) watches.push({ path, resourceVersion: query.resourceVersion, request, onEvent, done });
      return request;
    }
  }
  const clock = new FakeClock();
  const begun: SourceName["kind"][] = [];
  const told: string[] = [];
  const watch = watchSources({
    kubernetes: { KubeConfig: Config, Watch } as unknown as typeof Kubernetes,
    config: {} as KubeConfig,
    clock,
    logger: silentLogger,
    onSource: ({ name }) => told.push(name),
    onBegun: (kind) => void (kind === "secrets" && begun.push(kind)),
  });
  await expect.poll(() => begun).toEqual(["secrets"]);
  watches[0]?.onEvent("ADDED", { metadata: { name: "login", namespace: "default", resourceVersion: "7" } });
  watches[0]?.done(null);
  await clock.advance(1000);
  await expect.poll(() => watches.length).toBe(2);
  expect([watches[1]?.resourceVersion, begun]).toEqual(["7", ["secrets"]]);
  watches[1]?.onEvent("ERROR", { code: 410 });
  watches[1]?.done(null);
  await clock.advance(1000);
  await expect.poll(() => begun).toEqual(["secrets", "secrets"]);
  expect([watches[2]?.resourceVersion, told]).toEqual([undefined, ["login"]]);
  watch[Symbol.dispose]();
  expect(watches.map(({ request }) => request.signal.aborted)).toEqual([false, false, true]);
});
