import { expect, test } from "vitest";
import { Questions } from "./questions.ts";

test("an answer that was asked for earlier does not overwrite one that was asked for later, nor what is known without a question", () => {
  const questions = new Questions();
  const first = questions.ask();
  const second = questions.ask();
  expect([second.isNews("a"), first.isNews("a"), first.isNews("b"), second.isNews("b")]).toEqual([true, false, true, true]);
  questions.settle("c");
  expect([first.isNews("c"), second.isNews("c")]).toEqual([false, false]);
  const third = questions.ask();
  expect(["a", "b", "c"].map((id) => third.isNews(id))).toEqual([true, true, true]);
});

test("an old answer is known as such for as long as its question is open, whatever ends meanwhile", () => {
  const questions = new Questions();
  const slow = questions.ask();
  {
    using quick = questions.ask();
    expect(quick.isNews("a")).toBe(true);
  }
  expect(slow.isNews("a")).toBe(false);
});

test("nothing is held of what is settled: years of containers leave nothing behind", () => {
  const questions = new Questions();
  for (let number = 0; number < 10_000; number++) {
    using question = questions.ask();
    question.isNews(`container ${number}`);
    questions.settle(`sandbox ${number}`);
  }
  expect(questions.size).toBe(0);
});
