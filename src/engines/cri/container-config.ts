import type { RuntimeContainerSpec } from "../../contracts/container-runtime.ts";
import { effectiveCapabilities, MASKED_PATHS, READONLY_PATHS } from "./capabilities.ts";
import { cpuQuotaMicros } from "./cgroup.ts";
import type { ContainerConfig, NamespaceOptions, PodSandboxConfig } from "./messages.ts";

/** Annotation with the cgroup parent of a container, for the run that finds it later. */
export const CGROUP_ANNOTATION = "tidegate/cgroup-parent";
/** Annotation with the container's sandbox, which CRI's status leaves out. */
export const SANDBOX_ANNOTATION = "tidegate/sandbox-id";

/** Under host-wide pressure containers go before daemons; within a task the greediest goes first all the same. */
const OOM_SCORE_ADJ = 500;

/**
 * A container as CRI wants it, with no more rights than Fargate gives: never privileged, exact capabilities, the runtime's seccomp profile,
 * Docker's masked paths. @throws Problem `unsupported` for rights that are never given.
 */
export function containerConfig(
  spec: RuntimeContainerSpec,
  sandboxId: string,
  sandbox: PodSandboxConfig,
  options: { readonly apparmor: boolean },
): ContainerConfig {
  const cgroupParent = sandbox.linux.cgroupParent;
  return {
    metadata: { name: spec.name, attempt: spec.attempt },
    image: { image: spec.image.reference },
    command: spec.entryPoint ?? [],
    args: spec.command ?? [],
    workingDir: spec.workingDirectory ?? "",
    envs: spec.environment.map(({ name, value }) => ({ key: name, value })),
    mounts: spec.mounts.map((mount) => ({ containerPath: mount.containerPath, hostPath: mount.hostPath, readonly: mount.readOnly })),
    labels: spec.labels,
    annotations: { [CGROUP_ANNOTATION]: cgroupParent, [SANDBOX_ANNOTATION]: sandboxId },
    logPath: spec.logPath,
    stdin: spec.stdin,
    stdinOnce: spec.stdinOnce ?? false,
    tty: spec.tty,
    linux: {
      resources: {
        cpuShares: Math.max(2, spec.cpuShares),
        ...(spec.cpuLimitUnits === undefined ? {} : { cpuPeriod: 100_000, cpuQuota: cpuQuotaMicros(spec.cpuLimitUnits) }),
        ...(spec.memoryLimitBytes === undefined ? {} : { memoryLimitInBytes: spec.memoryLimitBytes }),
        oomScoreAdj: OOM_SCORE_ADJ,
      },
      securityContext: {
        // ALL is dropped first, so what is added is the whole set whatever the runtime's own default is.
        capabilities: { addCapabilities: effectiveCapabilities(spec.addCapabilities, spec.dropCapabilities), dropCapabilities: ["ALL"] },
        privileged: false,
        namespaceOptions: namespacesOf(spec, sandbox),
        // Always by this member, which takes `user[:group]` by name or id. Left to itself, containerd 1.6 gives an image's user root's groups.
        runAsUsername: spec.user ?? spec.image.user ?? "",
        readonlyRootfs: spec.readOnlyRootFilesystem,
        supplementalGroups: spec.supplementalGroups,
        noNewPrivs: spec.noNewPrivileges,
        maskedPaths: MASKED_PATHS,
        readonlyPaths: READONLY_PATHS,
        seccomp: { profileType: "RuntimeDefault" },
        ...(options.apparmor ? { apparmor: { profileType: "RuntimeDefault" } } : {}),
      },
    },
  };
}

function namespacesOf({ processesOf }: RuntimeContainerSpec, sandbox: PodSandboxConfig): NamespaceOptions {
  const { namespaceOptions } = sandbox.linux.securityContext;
  return processesOf === undefined ? namespaceOptions : { ...namespaceOptions, pid: "TARGET", targetId: processesOf };
}
