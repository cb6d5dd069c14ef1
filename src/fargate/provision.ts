import type { Sandbox } from "../contracts/container-runtime.ts";
import type { NetworkStatus } from "../contracts/engine.ts";
import type { Network } from "../contracts/network.ts";
import type { VolumeFile } from "../contracts/workload.ts";
import { isProblem, messageOf, Problem } from "../core/problem.ts";
import { allEnded } from "./all-ended.ts";
import type { WrittenFile } from "./atomic-writer.ts";
import type { ComputeContext } from "./compute-context.ts";
import { hostnameOf, hostsFile, produce, resolvConf, type ProducerContext } from "./environment.ts";
import { processLimit } from "./process-limit.ts";
import { failedToStart } from "./reasons.ts";
import type { Unit } from "./session.ts";

/** How long the address and the sandbox may keep failing before the workload does. */
const PROVISIONING_TIMEOUT_MS = 180_000;

/** The start of the owner under which the network lists a workload's attachment, so that a sweep can tell. */
export const ATTACHMENT_OWNER = "task-";

/**
 * Gives a workload its sandbox, address, limits and files. Idempotent. What can never work is noted as the workload's failure; what may
 * pass is thrown, to be tried again.
 */
export async function provision(context: ComputeContext, unit: Unit): Promise<void> {
  const { session, record } = unit;
  try {
    const [sandbox, network] = await allEnded([ensureSandbox(context, unit), allocate(context, unit)]);
    session.network = network;
    context.signal.throwIfAborted();
    const hostname = hostnameOf(record.workload, network);
    await allEnded([
      plug(context, unit, sandbox),
      context.runtime.limitGroup(unit.placement.cgroupParent, {
        memoryBytes: record.workload.memoryMiB * 1024 * 1024,
        cpuUnits: record.workload.cpuUnits,
        processes: processLimit(record.workload.memoryMiB, context.hostProcesses),
      }),
      context.tuner.tune(sandbox, { hostname, sysctls: record.workload.sysctls }),
      prepareFolder(context, unit, network),
    ]);
    session.connectivityAtMs = context.clock.nowMs();
    session.mark("attached");
    session.provisioned = true;
  } catch (error) {
    if (context.signal.aborted) throw error;
    const late = context.clock.nowMs() - context.times.past(record.acceptedAtMs) > PROVISIONING_TIMEOUT_MS;
    if (!isProblem(error, "not-found", "invalid", "exhausted", "unsupported") && !late) throw error;
    session.failure ??= failedToStart(
      isProblem(error, "unavailable")
        ? `Timeout waiting for network interface provisioning to complete. ${error.message}`
        : `ResourceInitializationError: ${messageOf(error)}`,
    );
  }
}

async function ensureSandbox(context: ComputeContext, { placement, record, session }: Unit): Promise<Sandbox> {
  const { cache, runtime, limiter, pool } = context;
  const known = cache.sandboxNamed(placement.sandboxName);
  if (known?.ready === true) return known;
  if (known !== undefined) {
    await runtime.removeSandbox(known.id);
    cache.forgetSandbox(known.id);
  }
  const sandbox = await limiter.run(() => runtime.createSandbox(pool.specOf(placement.sandboxName, record.workload)));
  cache.put(sandbox);
  session.mark("sandbox made");
  return sandbox;
}

async function allocate({ network }: ComputeContext, { record }: Unit): Promise<NetworkStatus> {
  const { workload } = record;
  if (workload.network.kept === true) return allocatedBefore(network, workload.network.attachmentId);
  return network.allocate({
    attachmentId: workload.network.attachmentId,
    owner: `${ATTACHMENT_OWNER}${workload.id}`,
    account: workload.account,
    region: workload.region,
    subnetId: workload.network.subnetId,
    securityGroupIds: workload.network.securityGroupIds,
    assignPublicIp: workload.network.assignPublicIp,
    description: `arn:aws:ecs:${workload.region}:${workload.account}:attachment/${workload.network.attachmentId}`,
  });
}

/** @throws Problem `not-found` when its owner has given it back. */
async function allocatedBefore(network: Network, attachmentId: string): Promise<NetworkStatus> {
  const found = (await network.list()).find((each) => each.attachmentId === attachmentId);
  if (found === undefined) throw new Problem("not-found", `the network attachment ${attachmentId}, which the workload was to use, is gone`);
  return found.status;
}

async function plug({ network }: ComputeContext, { record }: Unit, sandbox: Sandbox): Promise<void> {
  if (sandbox.netnsPath === undefined) throw new Error(`sandbox ${sandbox.name} has no network namespace`);
  await network.plug(record.workload.network.attachmentId, sandbox.netnsPath);
}

async function prepareFolder(context: ComputeContext, unit: Unit, network: NetworkStatus): Promise<void> {
  const { workload } = unit.record;
  const dns = workload.dns ?? (await context.network.dnsFor(workload.network.subnetId));
  const producers = await producerContext(context, unit, { network, container: workload.containers[0]?.name ?? "" });
  const files = Object.fromEntries(
    workload.volumes.flatMap((volume) => (volume.type === "files" ? [[volume.name, volume.files.map((file) => written(file, producers))]] : [])),
  );
  await context.folders.prepare(workload, {
    hosts: hostsFile(workload, network),
    hostname: hostnameOf(workload, network),
    resolvConf: resolvConf(dns),
    files,
  });
}

/** A file of a volume as it is to be on disk. */
export function written(file: VolumeFile, producers: ProducerContext): WrittenFile {
  const { path, mode, userId } = file;
  const content = "base64" in file ? Buffer.from(file.base64, "base64") : Buffer.from(produce(file, producers) ?? "");
  return { path, mode, userId, content };
}

/** What the producers of environment variables and files may know. */
export async function producerContext(
  { network: networks }: ComputeContext,
  { record, placement }: Unit,
  { network, container }: { readonly network: NetworkStatus; readonly container: string },
): Promise<ProducerContext> {
  const endpoint = (await networks.endpoints()).find((each) => each.vpcId === network.vpcId);
  return {
    workload: record.workload,
    network,
    runtimeId: placement.runtimeIds[container] ?? "",
    credentialsId: placement.credentialsId,
    apiUrl: endpoint?.apiUrl,
  };
}
