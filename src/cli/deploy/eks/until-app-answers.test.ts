import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { systemClock } from "../../../core/clock.ts";
import { isForWantOfPods, untilAppAnswers } from "./until-app-answers.ts";

const own = "awselb/2.0";

it.each([
  [503, own, true],
  [502, own, true],
  [504, own, true],
  [503, undefined, false],
  [502, "nginx", false],
  [500, undefined, false],
  [200, "Express", false],
  [404, undefined, false],
  [301, own, false],
  [200, own, false],
])("%i by %s: for want of pods: %s", (status, server, expected) => {
  expect(isForWantOfPods({ status, headers: new Headers(server === undefined ? {} : { server }) })).toBe(expected);
});

it("waits through the load balancer's own answers, says so once, and takes the app's 503 for an answer", async () => {
  const answers = [
    [503, own],
    [502, own],
    [503, "app"],
    [200, "app"],
  ] as const;
  await using server = await serving(answers);
  const said: string[] = [];
  const untilMs = systemClock.steadyMs() + 60_000;
  await untilAppAnswers(server.url, { say: (text) => said.push(text), untilMs, signal: new AbortController().signal });
  expect(server.asked()).toBe(3);
  expect(said).toEqual(["waiting for the load balancer to have the pods"]);
});

it("ends with its time, and when it is interrupted, as the pods run", async () => {
  await using server = await serving([[503, own]]);
  const interrupted = new AbortController();
  const say = (): void => interrupted.abort();
  await untilAppAnswers(server.url, { say, untilMs: systemClock.steadyMs() + 60_000, signal: interrupted.signal });
  expect(server.asked()).toBe(1);
  await untilAppAnswers(server.url, { say, untilMs: systemClock.steadyMs(), signal: new AbortController().signal });
  expect(server.asked()).toBe(1);
});

/** Gives each request the next of the answers (status and `Server`), and the last one for ever. */
async function serving(answers: readonly (readonly [number, string])[]) {
  let asked = 0;
  const server = createServer((_request, response) => {
    const [status, name] = answers[Math.min(asked++, answers.length - 1)] ?? [200, ""];
    response.writeHead(status, { server: name }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: () => asked,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}
