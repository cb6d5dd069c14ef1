import { expect, it } from "vitest";
import type { RuntimeContainer, Sandbox } from "../contracts/container-runtime.ts";
import { planSweep, type SweepFacts } from "./sweep.ts";

const sandbox = (name: string, more: Partial<Sandbox> = {}): Sandbox => ({
  id: `id-${name}`,
  name,
  labels: { "tidegate.instance": "abc123", "tidegate.role": "warm" },
  ready: true,
  createdAtMs: 0,
  ...more,
});
const container = (sandboxId: string): RuntimeContainer => ({
  id: `c-${sandboxId}`,
  sandboxId,
  name: "c",
  attempt: 0,
  state: "running",
  labels: {},
  oomKilled: false,
  createdAtMs: 0,
});

const facts = (more: Partial<SweepFacts>): SweepFacts => ({
  instanceId: "abc123",
  placed: new Set(),
  active: new Set(),
  known: new Set(),
  sandboxes: [],
  containers: [],
  groups: [],
  attachments: [],
  folders: { workloads: [], sandboxes: [], keptLogs: [] },
  adoptable: (each) => each.ready && each.labels["tidegate.role"] === "warm",
  ...more,
});

it("keeps what is placed, adopts what is warm, removes what nobody owns, and touches nothing of others", () => {
  const plan = planSweep(
    facts({
      placed: new Set(["placed", "placed-dead"]),
      sandboxes: [
        sandbox("placed"),
        sandbox("placed-dead", { ready: false }),
        sandbox("warm"),
        sandbox("dead", { ready: false }),
        sandbox("inhabited"),
        sandbox("foreign", { labels: { "tidegate.instance": "ffffff", "tidegate.role": "warm" } }),
        sandbox("stranger", { labels: {} }),
      ],
      containers: [container("id-placed"), container("id-inhabited")],
    }),
  );
  expect(plan.adopt.map((each) => each.name)).toEqual(["warm"]);
  expect(plan.removeSandboxes.map((each) => each.name)).toEqual(["dead", "inhabited"]);
});

it("detaches tasks' addresses without a task, and nobody else's", () => {
  const attachments = [
    { attachmentId: "1", owner: "task-alive" },
    { attachmentId: "2", owner: "task-gone" },
    { attachmentId: "3", owner: "load-balancer-x" },
  ];
  expect(planSweep(facts({ active: new Set(["alive"]), attachments })).detach).toEqual(["2"]);
});

it("removes the folders of what is gone", () => {
  const plan = planSweep(
    facts({
      active: new Set(["w1"]),
      known: new Set(["w1", "stopped"]),
      placed: new Set(["s1"]),
      sandboxes: [sandbox("s1"), sandbox("warm")],
      folders: { workloads: ["w1", "w2"], sandboxes: ["s1", "s2", "warm"], keptLogs: ["stopped", "destroyed"] },
    }),
  );
  expect(plan.removeWorkloadFolders).toEqual(["w2"]);
  expect(plan.removeSandboxFolders).toEqual(["s2"]);
  expect(plan.removeKeptLogs).toEqual(["destroyed"]);
});

it("removes the cgroups that sandboxes left which were cut off in their making", () => {
  const plan = planSweep(
    facts({
      placed: new Set(["placed"]),
      sandboxes: [sandbox("placed"), sandbox("warm"), sandbox("dead", { ready: false })],
      groups: ["placed", "warm", "dead", "cut-off"],
    }),
  );
  expect(plan.removeGroups).toEqual(["cut-off"]);
});
