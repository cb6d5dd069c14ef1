import type { StatusProblem, StatusReport } from "../../core/status-report.ts";
import { DISK_ADVICE } from "../../host/disk-guard.ts";
import type { ServiceRecord } from "../../services/ecs/records.ts";
import { RESTORE_CONTAINER } from "../../services/eks/control-plane/compile.ts";
import type { StatusFacts, TaskFacts } from "./facts.ts";

/** A service may be on its way this long before what it lacks is a problem. */
const COMING_UP_MS = 60_000;
/** Ends within this time count as recent. */
const RECENT_MS = 10 * 60_000;
const MIB = 1024 * 1024;
/** So many recent ends are no accident. */
const KEEPS_FAILING = 3;
/** The control plane raises its own soft limit to the hard one at its start. */
const RAISE_FILES = "Raise the hard limit (`LimitNOFILE=` of its unit, or `ulimit -Hn`) and start the control plane again: what runs is untouched.";

const QUICKER_DISK =
  "What runs is untouched and nothing is lost. See what else writes to the disk that holds the data directory (`iostat -x 1`), or move it to a quicker one.";

/** What of the things that users run is not as it should be, each with what to do. Pure. */
export function judgeStatus(facts: StatusFacts): readonly StatusProblem[] {
  return [
    ...judgeLogs(facts),
    ...facts.services.flatMap((service) => judgeService(service, facts)),
    ...judgeLooseTasks(facts),
    ...judgeTraffic(facts),
    ...judgeClusters(facts),
  ];
}

/** The whole report: the instance's own checks, and what is not well of what it runs. Pure. */
export function statusReport(own: Omit<StatusReport, "status" | "problems">, problems: readonly StatusProblem[]): StatusReport {
  const all = [...own.checks.flatMap((check) => (check.ok ? [] : [problemOfCheck(check)])), ...problems];
  return { status: all.length === 0 ? "ok" : "unhealthy", ...own, problems: all };
}

function problemOfCheck({ name, detail }: StatusReport["checks"][number]): StatusProblem {
  if (name === "start") return { kind: "start", subject: "start", what: detail, todo: "Wait some seconds and ask again." };
  if (name === "disk") return { kind: "disk", subject: "disk", what: detail, todo: DISK_ADVICE };
  if (name === "database") return { kind: "disk", subject: "database", what: detail, todo: QUICKER_DISK };
  if (name === "open files") return { kind: "open files", subject: "open files", what: detail, todo: RAISE_FILES };
  if (name.startsWith("publish ")) {
    return { kind: "publish", subject: name, what: detail, todo: "`up --publish` says which ports lead where; the check names what is missing." };
  }
  if (detail.startsWith("down")) {
    const todo = "It is being started again with back-off; its log, which `tidegate support-bundle` collects, says why it ends.";
    return { kind: "daemon", subject: name, what: detail, todo };
  }
  const todo = "It is tried again every 30 s. The error names what is in the way; the control plane's log has it in full.";
  return { kind: "controller", subject: `controller ${name}`, what: detail, todo };
}

/** Containers are not held up by either: what they write waits in files, as much as there is room for. */
function judgeLogs({ logs, nowMs }: StatusFacts): readonly StatusProblem[] {
  const problems: StatusProblem[] = [];
  const [first] = logs.failing;
  if (first !== undefined) {
    const since = new Date(first.sinceMs).toISOString();
    const what = `the logs of ${logs.failing.length} containers cannot be stored, that of stream ${first.stream} since ${since}: ${first.error}`;
    const todo = "They are tried again; up to 128 MiB of each container's lines wait. Where the disk is full, free some space.";
    problems.push({ kind: "logs", subject: "logs", what, todo });
  }
  if (logs.lastDrop !== undefined && nowMs - logs.lastDrop.atMs < RECENT_MS) {
    const what = `log lines were dropped, ${Math.ceil(logs.droppedBytes / MIB)} MiB since the start, the last of stream ${logs.lastDrop.stream}`;
    const todo =
      "A container writes faster than its log can be stored, or nothing could be stored for long. The stream says where lines are missing.";
    problems.push({ kind: "logs", subject: `logs of ${logs.lastDrop.stream}`, what, todo });
  }
  return problems;
}

function judgeService(service: ServiceRecord, facts: StatusFacts): readonly StatusProblem[] {
  if (service.status !== "ACTIVE") return [];
  const own = facts.tasks.filter(
    ({ record }) =>
      record.service?.name === service.name &&
      record.cluster === service.cluster &&
      record.account === service.account &&
      record.region === service.region,
  );
  const subject = `service ${service.name} (cluster ${service.cluster})`;
  const running = own.filter(({ status }) => status?.state === "RUNNING" || status?.state === "DEACTIVATING").length;
  const failures = recentFailures(own, facts.nowMs);
  const why = reasonsOf(service, failures);
  if (running < service.desiredCount && !isComingUp(service, own, facts.nowMs, failures)) {
    const what = `${running} of ${service.desiredCount} tasks run${why}`;
    return [{ kind: "service", subject, what, todo: todoFor(service.name, failures) }];
  }
  if (failures.length >= KEEPS_FAILING) {
    const what = `its tasks keep ending: ${failures.length} in the last ${RECENT_MS / 60_000} minutes${why}`;
    return [{ kind: "tasks", subject, what, todo: todoFor(service.name, failures) }];
  }
  const [newest] = service.deployments;
  if (newest?.rolloutState === "FAILED") {
    return [
      {
        kind: "service",
        subject,
        what: `its last deployment failed: ${newest.rolloutStateReason}`,
        todo: "Mend the task definition, and deploy again.",
      },
    ];
  }
  return [];
}

function isComingUp(service: ServiceRecord, own: readonly TaskFacts[], nowMs: number, failures: readonly TaskFacts[]): boolean {
  if (failures.length > 0) return false;
  const changes = [...service.deployments.map((deployment) => deployment.updatedAtMs), ...own.map(({ record }) => record.createdAtMs)];
  return Math.max(service.createdAtMs, ...changes) > nowMs - COMING_UP_MS;
}

/** Tasks that ended by themselves or never started, not because somebody asked; the last first. */
function recentFailures(tasks: readonly TaskFacts[], nowMs: number): readonly TaskFacts[] {
  const atMs = ({ record, status }: TaskFacts): number => status?.stoppedAtMs ?? record.endedAtMs ?? 0;
  const failed = ({ record, status }: TaskFacts): boolean => {
    const code = (status?.stop ?? record.stop)?.code;
    return code === "TaskFailedToStart" || code === "EssentialContainerExited";
  };
  return tasks.filter((task) => failed(task) && atMs(task) > nowMs - RECENT_MS).toSorted((a, b) => atMs(b) - atMs(a));
}

function reasonsOf(service: ServiceRecord, failures: readonly TaskFacts[]): string {
  const [last] = failures;
  const [event] = service.events;
  const parts = [last === undefined ? "" : `; the last end: ${endOf(last)}`, event === undefined ? "" : `; the last event: ${event.message}`];
  return parts.join("");
}

/** How a task ended: the reason, and the container that was the cause. */
function endOf({ record, status }: TaskFacts): string {
  const reason = (status?.stop ?? record.stop)?.reason ?? "without a reason";
  const culprit = status?.containers.find((container) => container.reason !== undefined || (container.exitCode ?? 0) !== 0);
  if (culprit === undefined) return reason;
  const details = [culprit.exitCode === undefined ? "" : `exit code ${culprit.exitCode}`, culprit.reason ?? ""].filter((text) => text !== "");
  return details.length === 0 ? reason : `${reason} (container ${culprit.name}: ${details.join(", ")})`;
}

function todoFor(name: string, failures: readonly TaskFacts[]): string {
  const neverStarted = failures.some(({ record, status }) => (status?.stop ?? record.stop)?.code === "TaskFailedToStart");
  if (failures.length === 0) return `\`tidegate ps\` shows where its tasks are; \`aws ecs describe-services --services ${name}\` shows all events.`;
  if (neverStarted) return `\`tidegate ps --all\` lists the tasks, and \`tidegate ps TASK\` says how far one came.`;
  return `\`tidegate logs ${name}\` shows what it wrote before it ended.`;
}

/** Tasks outside services, by family. */
function judgeLooseTasks(facts: StatusFacts): readonly StatusProblem[] {
  const groups = Map.groupBy(
    recentFailures(
      facts.tasks.filter(({ record }) => record.service === undefined),
      facts.nowMs,
    ).filter((task) => (task.status?.stop ?? task.record.stop)?.code === "TaskFailedToStart"),
    ({ record }) => `${record.account}/${record.region}/${record.cluster}/${record.group}`,
  );
  return [...groups.values()].flatMap((failures): readonly StatusProblem[] => {
    const [last] = failures;
    if (last === undefined || failures.length < KEEPS_FAILING) return [];
    const what = `${failures.length} tasks did not start in the last ${RECENT_MS / 60_000} minutes; the last: ${endOf(last)}`;
    return [{ kind: "tasks", subject: `tasks of ${last.record.group} (cluster ${last.record.cluster})`, what, todo: todoFor("", failures) }];
  });
}

/** A lack that passes is over by then. */
const ETCD_FAILS = 3;

/** Of EKS: those that FAILED, and those whose control plane is not whole. */
function judgeClusters({ clusters, nowMs }: StatusFacts): readonly StatusProblem[] {
  return clusters.flatMap(({ name, plane, status }): readonly StatusProblem[] => {
    const problem = { kind: "cluster", subject: `EKS cluster ${name}` } as const;
    if (plane.state === "FAILED") {
      const todo = `\`tidegate doctor\` says what is missing; then \`aws eks delete-cluster --name ${name}\`, and create it again.`;
      return [{ ...problem, what: plane.issue ?? "it has failed", todo }];
    }
    if (plane.state !== "ACTIVE") return [];
    const todo = "It is started again by itself; its objects are kept. Where that lasts, the host's memory or disk may be short.";
    if (status?.state !== "RUNNING") {
      const isLong = status === undefined || nowMs - status.acceptedAtMs > COMING_UP_MS;
      return isLong ? [{ ...problem, what: "its control plane does not run", todo }] : [];
    }
    const down = status.containers.filter(({ name: program, state }) => state !== "RUNNING" && program !== RESTORE_CONTAINER);
    if (down.length === 0) return [];
    const etcd = down.find((container) => container.name === "etcd" && container.restartCount >= ETCD_FAILS);
    if (etcd !== undefined) {
      const what = `its etcd does not start (exit code ${etcd.exitCode ?? "unknown"}, ${etcd.restartCount} restarts): its data may be damaged`;
      const way = `\`tidegate snapshots ${name} --restore latest\` brings the last snapshot back; later changes are lost.`;
      return [{ ...problem, what, todo: `Is there room on the disk, and memory? If so, ${way}` }];
    }
    const words = down.map((container) => `${container.name} (exit code ${container.exitCode ?? "unknown"}, ${container.restartCount} restarts)`);
    return [{ ...problem, what: `of its control plane does not run: ${words.join(", ")}`, todo }];
  });
}

function judgeTraffic({ targetGroups, failedLoadBalancers }: StatusFacts): readonly StatusProblem[] {
  const groups = targetGroups.flatMap(({ name, healthPath, targets }): readonly StatusProblem[] => {
    const bad = targets.filter((target) => target.state === "unhealthy" || target.state === "unavailable");
    const [first] = bad;
    if (first === undefined || targets.some((target) => target.state === "healthy")) return [];
    const detail = [first.reason, first.description].filter((text) => text !== undefined).join(": ");
    const what = `none of its ${targets.length} targets is healthy; ${first.ip}:${first.port}: ${detail}`;
    const asks = healthPath === undefined ? "" : ` and answer ${healthPath}`;
    const todo = `Does the container listen on port ${first.port}${asks}, and does its security group admit the load balancer's?`;
    return [{ kind: "target-group", subject: `target group ${name}`, what, todo }];
  });
  const balancers = failedLoadBalancers.map(({ name, reason }): StatusProblem => ({
    kind: "load-balancer",
    subject: `load balancer ${name}`,
    what: `it could not be made: ${reason ?? "no reason is known"}`,
    todo: "It is tried again; the control plane's log says more.",
  }));
  return [...groups, ...balancers];
}
