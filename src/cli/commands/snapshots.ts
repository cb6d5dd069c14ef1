import { systemClock } from "../../core/clock.ts";
import type { ClusterSnapshots } from "../../core/status-report.ts";
import { type Command, CommandError } from "../command.ts";
import { ago } from "../output.ts";
import type { Session } from "../session.ts";

const LOOK_MS = 500;
const WITHIN_MS = 5 * 60_000;

/** What there is of an EKS cluster's etcd, and the way back to it. */
export const snapshots: Command<{ readonly restore?: string; readonly json?: boolean }> = {
  usage: "snapshots <cluster>",
  summary: "the hourly snapshots of an EKS cluster's objects, and bringing one back",
  options: [
    ["--restore <snapshot>", "its name, or `latest`: the cluster's objects become what they were; later changes are lost"],
    ["--json", "as JSON"],
  ],
  async run({ arguments: [cluster = ""], options, session }) {
    const path = `eks/clusters/${encodeURIComponent(cluster)}/snapshots`;
    const list = await session.own<ClusterSnapshots>(path);
    if (list === undefined) throw new CommandError(`There is no EKS cluster ${cluster}.`);
    if (options.restore !== undefined) return bringBack(session, { cluster, path, wanted: options.restore, list });
    if (session.json) return session.output.json(list);
    if (list.recovering !== undefined) session.output.note(`The objects of ${cluster} come back from ${list.recovering} just now.`);
    if (list.snapshots.length === 0) return session.output.line("No snapshots yet: the first one is taken when the cluster serves.");
    const nowMs = systemClock.nowMs();
    session.output.table(
      ["SNAPSHOT", "TAKEN", "MIB"],
      list.snapshots.map(({ name, takenAtMs, sizeBytes }) => [name, ago(takenAtMs, nowMs), (sizeBytes / 1024 ** 2).toFixed(1)]),
    );
  },
};

interface Wanted {
  readonly cluster: string;
  readonly path: string;
  readonly wanted: string;
  readonly list: ClusterSnapshots;
}

async function bringBack(session: Session, { cluster, path, wanted, list }: Wanted): Promise<void> {
  const found = wanted === "latest" ? list.snapshots.at(-1) : list.snapshots.find(({ name }) => name === wanted);
  if (found === undefined) {
    const there = list.snapshots.map(({ name }) => name).join(", ");
    throw new CommandError(`${cluster} has no snapshot ${wanted}${there === "" ? " yet" : `; there are ${there}`}.`);
  }
  await session.own(`${path}/${found.name}/restore`, "POST");
  session.output.note(`The control plane of ${cluster} stops, and comes back with its objects as of ${found.name} …`);
  const untilMs = systemClock.steadyMs() + WITHIN_MS;
  for (;;) {
    await systemClock.sleep(LOOK_MS);
    const now = await session.own<ClusterSnapshots>(path);
    if (now !== undefined && now.recovering === undefined) break;
    if (systemClock.steadyMs() > untilMs) {
      throw new CommandError(`${cluster} does not serve after ${WITHIN_MS / 60_000} minutes; \`tidegate status\` says what is wrong.`);
    }
  }
  session.output.line(`${cluster} serves again, as of ${found.name}. What its etcd had before is kept beside its data until the next time.`);
}
