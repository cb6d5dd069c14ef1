import { afterAll, beforeAll, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { createStack, type Stack } from "../support/stack.ts";

/** The upstream control plane, built where the host has not built it before, in an image that runs as any other. */

let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
});
afterAll(() => removeWithoutTrace(instance));

test("upstream's programs, unmodified, run from the seeded image", { timeout: 40 * 60_000 }, async () => {
  const { stdout, stderr } = await instance.cli(["images", "seed", "kubernetes"], { timeoutMs: 40 * 60_000 });
  const [reference = ""] = /tidegate-public\/\S+/.exec(stdout + stderr) ?? [];
  const [, version = ""] = /:(\d+\.\d+\.\d+)$/.exec(reference) ?? [];
  const image = `localhost:${instance.port}/${reference}`;
  const programs = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
  const others = programs.slice(0, -1);
  const taskArn = await stack.start(
    await stack.define(
      "versions",
      programs.map((name, index) => ({
        name,
        image,
        command: [name, "--version"],
        // The last one waits for the others, and its end is the task's.
        ...(index < others.length
          ? { essential: false }
          : { dependsOn: others.map((containerName) => ({ containerName, condition: "COMPLETE" as const })) }),
      })),
    ),
  );
  await stack.reach(taskArn, "STOPPED");
  const lines = async (name: string): Promise<string> => (await stack.lines(taskArn, name)).join("\n");
  await until("all have said their version", async () => {
    const said = await Promise.all(programs.map(lines));
    return said[0]?.includes("etcd Version: 3.6.") && said.slice(1).every((text) => text.includes(`Kubernetes v${version}`));
  });
  const { stdout: again } = await instance.cli(["images", "seed", "kubernetes"]);
  expect(again).toContain("is there already");
  const { stdout: found } = await instance.cli(["doctor"]);
  expect(found).toMatch(new RegExp(`kubernetes +${version.replaceAll(".", "\\.")}`));
});
