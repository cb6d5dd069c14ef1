import type { ContainerSpec, Workload } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";
import { unknownProducers } from "./environment.ts";
import { isSandboxSysctl } from "./sandbox-tuner.ts";

/**
 * Checks what no orchestrator may ask for, and refuses by name what is not built.
 * @throws Problem `invalid` (a contradiction in the workload), `unsupported` (not built).
 */
export function acceptWorkload(workload: Workload): void {
  const fault = contradiction(workload);
  if (fault !== undefined) throw new Problem("invalid", `workload ${workload.id} cannot run: ${fault}`);
  const missing = notBuilt(workload);
  if (missing !== undefined) throw new Problem("unsupported", `workload ${workload.id} cannot run: ${missing}`);
}

function contradiction(workload: Workload): string | undefined {
  const names = workload.containers.map((container) => container.name);
  if (names.length === 0) return "it has no containers";
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return `two containers are named ${twice}`;
  for (const container of workload.containers) {
    const stray = container.dependsOn.find((condition) => !names.includes(condition.container));
    if (stray !== undefined) return `container ${container.name} depends on ${stray.container}, which the workload does not have`;
    const unknown = container.mounts.find((mount) => !workload.volumes.some((volume) => volume.name === mount.volume));
    if (unknown !== undefined) return `container ${container.name} mounts volume ${unknown.volume}, which the workload does not have`;
  }
  const stranger = workload.containers.find(({ processesOf }) => processesOf !== undefined && !names.includes(processesOf));
  if (stranger !== undefined)
    return `container ${stranger.name} is to see the processes of ${stranger.processesOf}, which the workload does not have`;
  const cycle = cycleOf(workload.containers);
  if (cycle !== undefined) return `its containers depend on one another in a circle: ${cycle.join(", ")}`;
  const volume = workload.volumes.find((each) => each.type === "host" || each.type === "persistent");
  if (volume !== undefined && !workload.system) return `volume ${volume.name} is of type ${volume.type}, which only system workloads may use`;
  const sysctl = workload.sysctls.find((each) => !isSandboxSysctl(each.name));
  return sysctl === undefined ? undefined : `sysctl ${sysctl.name} is not of the task's own namespaces`;
}

/** The containers that are left when those whose dependencies are gone are taken away again and again. */
function cycleOf(containers: readonly ContainerSpec[]): readonly string[] | undefined {
  let left = containers;
  for (;;) {
    const rest = left.filter((container) => container.dependsOn.some((condition) => left.some((other) => other.name === condition.container)));
    if (rest.length === left.length) return rest.length === 0 ? undefined : rest.map((container) => container.name);
    left = rest;
  }
}

function notBuilt(workload: Workload): string | undefined {
  const producers = unknownProducers(workload);
  if (producers.length > 0) return `there is no producer named ${producers.join(", ")} for environment variables or files`;
  for (const container of workload.containers) {
    const words = notBuiltFor(container);
    if (words !== undefined) return `container ${container.name} ${words}`;
  }
  return undefined;
}

function notBuiltFor(container: ContainerSpec): string | undefined {
  if (container.log.type === "awslogs" && (container.log.datetimeFormat ?? container.log.multilinePattern) !== undefined) {
    return "uses awslogs-datetime-format or awslogs-multiline-pattern, which are not built yet";
  }
  return undefined;
}
