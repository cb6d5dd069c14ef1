import { expect, test } from "vitest";
import { FakeClock } from "../../../core/clock.ts";
import { type Answer, onceItIsThere } from "./kubernetes-api.ts";

const failing = (text: string) => (): Promise<Answer> => Promise.reject(new Error(text));
const answering = (status: number) => (): Promise<Answer> => Promise.resolve({ status, text: "" });

/** Asks that get these answers in turn, the last for ever; `asked` counts them. */
function inTurn(...answers: readonly (() => Promise<Answer>)[]): { readonly question: () => Promise<Answer>; asked: number } {
  const turn = { asked: 0, question: () => (answers[Math.min(turn.asked++, answers.length - 1)] ?? answering(200))() };
  return turn;
}

test("an API server that is away, or says not now, is asked again until it answers", async () => {
  const clock = new FakeClock();
  const turn = inTurn(failing("connect ECONNREFUSED"), answering(503), answering(500), answering(429), answering(200));
  const answer = onceItIsThere(turn.question, clock);
  await clock.advance(10_000);
  expect(await answer).toEqual({ status: 200, text: "" });
  expect(turn.asked).toBe(5);
});

test.each([200, 404, 401, 403, 409, 422])("%d is an answer", async (status) => {
  const turn = inTurn(answering(status));
  expect(await onceItIsThere(turn.question, new FakeClock())).toMatchObject({ status });
  expect(turn.asked).toBe(1);
});

test("one that stays away is said in the end, in its own words", async () => {
  const clock = new FakeClock();
  const gone = onceItIsThere(inTurn(failing("connect ECONNREFUSED")).question, clock);
  const refused = expect(gone).rejects.toThrow("ECONNREFUSED");
  const busy = onceItIsThere(inTurn(answering(503)).question, clock);
  await clock.advance(60_000);
  await refused;
  expect(await busy).toMatchObject({ status: 503 });
});
