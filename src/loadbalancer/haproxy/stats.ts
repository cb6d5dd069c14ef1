/** A server as a worker's `show stat` tells of it. */
export interface ServerStats {
  readonly backend: string;
  readonly name: string;
  /** `UP`, `DOWN`, `NOLB`, `MAINT`, maybe with a count: `UP 1/2`. */
  readonly status: string;
  /** `L7OK`, `L4CON`, `INI`, … */
  readonly checkStatus: string;
  /** HTTP status of the last check. */
  readonly checkCode: string;
  /** Requests and connections under way, queued ones included. */
  readonly open: number;
}

/** Reads the CSV of `show stat -1 4 -1` (servers only). */
export function parseServerStats(csv: string): readonly ServerStats[] {
  const [head = "", ...lines] = csv.split("\n");
  const names = head.replace(/^# /, "").split(",");
  const column = (name: string): number => names.indexOf(name);
  const [backend, server, status, check, code, current, queued] = ["pxname", "svname", "status", "check_status", "check_code", "scur", "qcur"].map(
    column,
  );
  const at = (cells: readonly string[], index = -1): string => cells[index] ?? "";
  return lines
    .filter((line) => line !== "")
    .map((line) => line.split(","))
    .map((cells) => ({
      backend: at(cells, backend),
      name: at(cells, server),
      status: at(cells, status),
      checkStatus: at(cells, check).replace(/^\* /, ""),
      checkCode: at(cells, code),
      open: Number(at(cells, current)) + Number(at(cells, queued)),
    }));
}

export interface MasterProcess {
  readonly pid: number;
  readonly old: boolean;
}

/** Reads the workers from the master's `show proc`. */
export function parseProcesses(text: string): readonly MasterProcess[] {
  const workers: MasterProcess[] = [];
  let old = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) old = line.startsWith("# old");
    const match = /^(\d+)\s+worker\b/.exec(line);
    if (match !== null) workers.push({ pid: Number(match[1]), old });
  }
  return workers;
}
