import { Listr } from "listr2";
import type { Output } from "./output.ts";

/** One visible step of a longer piece of work. */
export interface Step {
  readonly title: string;
  /** `say` shows what the step is doing now. A result replaces the title. */
  run(say: (text: string) => void): Promise<string | void>;
}

/** Runs steps in order with live progress: spinners on a terminal, one line a change elsewhere. A failing step ends it with its error. */
export async function runSteps(output: Output, steps: readonly Step[]): Promise<void> {
  if (!output.terminal) return runPlainly(output, steps);
  const tasks = steps.map((step) => ({
    title: step.title,
    task: async (_context: unknown, task: { title: string; output: string }) => {
      const result = await step.run((text) => (task.output = text));
      if (typeof result === "string") task.title = result;
    },
  }));
  await new Listr(tasks, {
    exitOnError: true,
    registerSignalListeners: false,
    rendererOptions: { collapseErrors: false, showErrorMessage: false },
  }).run();
}

async function runPlainly(output: Output, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    output.note(`- ${step.title}`);
    const result = await step.run((text) => output.note(`    ${text}`));
    if (typeof result === "string" && result !== step.title) output.note(`  ${result}`);
  }
}
