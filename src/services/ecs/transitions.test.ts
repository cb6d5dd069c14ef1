import { expect, it } from "vitest";
import {
  CLUSTER_TRANSITIONS,
  DEPLOYMENT_TRANSITIONS,
  mayFollow,
  ROLLOUT_TRANSITIONS,
  SERVICE_TRANSITIONS,
  TASK_DEFINITION_TRANSITIONS,
  transition,
  type TransitionTable,
} from "./transitions.ts";

const tables: readonly TransitionTable[] = [
  CLUSTER_TRANSITIONS,
  TASK_DEFINITION_TRANSITIONS,
  SERVICE_TRANSITIONS,
  DEPLOYMENT_TRANSITIONS,
  ROLLOUT_TRANSITIONS,
];

it.each(tables)("walks every edge of $resource and no other", (table) => {
  const statuses = Object.keys(table.edges);
  for (const from of statuses) {
    for (const to of statuses) {
      const allowed = from === to || (table.edges[from] ?? []).includes(to);
      expect(mayFollow(table, from, to)).toBe(allowed);
      if (allowed) expect(transition(table, from, to)).toBe(to);
      else expect(() => transition(table, from, to)).toThrow(`cannot go from ${from} to ${to}`);
    }
  }
});

it.each(tables)("reaches every status of $resource from its first", (table) => {
  const reached = new Set<string>(table.initial);
  for (const from of reached) for (const to of table.edges[from] ?? []) reached.add(to);
  expect([...reached].sort()).toEqual(Object.keys(table.edges).sort());
});
