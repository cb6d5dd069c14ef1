/** Which status each resource may have, and what may follow it. Writers ask `assertTransition`; the test walks every edge. */
export interface TransitionTable {
  readonly resource: string;
  readonly initial: readonly string[];
  readonly edges: Readonly<Record<string, readonly string[]>>;
}

export const CLUSTER_TRANSITIONS = {
  resource: "cluster",
  initial: ["ACTIVE"],
  edges: { ACTIVE: ["INACTIVE"], INACTIVE: ["ACTIVE"] },
} as const satisfies TransitionTable;

export const TASK_DEFINITION_TRANSITIONS = {
  resource: "task definition",
  initial: ["ACTIVE"],
  edges: { ACTIVE: ["INACTIVE"], INACTIVE: ["DELETE_IN_PROGRESS"], DELETE_IN_PROGRESS: [] },
} as const satisfies TransitionTable;

export const SERVICE_TRANSITIONS = {
  resource: "service",
  initial: ["ACTIVE"],
  // INACTIVE to ACTIVE is CreateService taking the name again.
  edges: { ACTIVE: ["DRAINING"], DRAINING: ["INACTIVE"], INACTIVE: ["ACTIVE"] },
} as const satisfies TransitionTable;

export const DEPLOYMENT_TRANSITIONS = {
  resource: "deployment",
  initial: ["PRIMARY"],
  // ACTIVE to PRIMARY is a rollback; INACTIVE ones leave the list.
  edges: { PRIMARY: ["ACTIVE", "INACTIVE"], ACTIVE: ["PRIMARY", "INACTIVE"], INACTIVE: ["PRIMARY"] },
} as const satisfies TransitionTable;

export const ROLLOUT_TRANSITIONS = {
  resource: "rollout",
  initial: ["IN_PROGRESS"],
  // COMPLETED to IN_PROGRESS is a rollback to it.
  edges: { IN_PROGRESS: ["COMPLETED", "FAILED"], COMPLETED: ["IN_PROGRESS"], FAILED: [] },
} as const satisfies TransitionTable;

/** Whether `to` may follow `from`; staying is always allowed. */
export function mayFollow(table: TransitionTable, from: string, to: string): boolean {
  return from === to || (table.edges[from]?.includes(to) ?? false);
}

/** Answers `to`. @throws Error (a defect of ours) when it may not follow `from`. */
export function transition<Status extends string>(table: TransitionTable, from: string, to: Status): Status {
  if (!mayFollow(table, from, to)) throw new Error(`a ${table.resource} cannot go from ${from} to ${to}`);
  return to;
}
