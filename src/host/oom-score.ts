import { readFileSync, writeFileSync } from "node:fs";

/** Of the control plane and, by inheritance, of HAProxy and unbound; containerd has its own. Containers have 500. */
const CONTROL_PLANE_SCORE = -900;

/**
 * Asks the kernel to kill others first when the host's memory runs out. Needs CAP_SYS_RESOURCE; without it nothing is changed, and
 * containers still go first, as theirs is raised. Answers the score that holds now.
 */
export function protectFromOomKiller(): number {
  const path = "/proc/self/oom_score_adj";
  try {
    if (oomScore() > CONTROL_PLANE_SCORE) writeFileSync(path, String(CONTROL_PLANE_SCORE));
  } catch {
    // Said by `tidegate doctor`.
  }
  return oomScore();
}

function oomScore(): number {
  return Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
}

/** Whether this process may lower its score: it has CAP_SYS_RESOURCE. */
export function mayLowerOomScore(): boolean {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return (BigInt(`0x${capabilities}`) & (1n << 24n)) !== 0n;
}
