import type { V1Pod } from "@kubernetes/client-node";
import type { LogSink } from "../../contracts/workload.ts";
import type { PodEvent } from "../events.ts";
import type { KubernetesClient } from "../kubernetes-client.ts";
import { nodeNameOf } from "../node-object.ts";
import type { PodPlacement } from "../records.ts";
import { readAwsLogging } from "./fluent-config.ts";

const NAMESPACE = "aws-observability";
const CONFIG_MAP = "aws-logging";
const LABEL = "aws-observability";

/** What a placement remembers of the cluster's logging: pods that run do not follow its changes. */
export type LoggingChoice = Pick<PodPlacement, "logging" | "logFault">;

/** Read when a pod gets its place. */
export async function chooseLogging(client: KubernetesClient, pod: V1Pod): Promise<LoggingChoice> {
  const labels = await client.namespaceLabels(NAMESPACE);
  const data = labels?.[LABEL] === "enabled" ? await client.configMapText(NAMESPACE, CONFIG_MAP) : undefined;
  if (data === undefined) return {};
  const { name, namespace } = pod.metadata ?? {};
  const verdict = readAwsLogging(data, `kube.var.log.containers.${name}_${namespace}_`);
  return "fault" in verdict ? { logFault: verdict.fault } : { logging: verdict.logging };
}

/** The pod's annotation `Logging`, and the event beside it. Pure. */
export function tellLogging({ logging, logFault }: LoggingChoice): { readonly annotation: string; readonly event: PodEvent } {
  const from = "fargate-scheduler" as const;
  if (logging !== undefined) {
    return {
      annotation: "LoggingEnabled",
      event: { type: "Normal", reason: "LoggingEnabled", message: "Successfully enabled logging for pod", from },
    };
  }
  if (logFault === undefined) {
    const message = `Disabled logging because ${CONFIG_MAP} configmap was not found. configmap "${CONFIG_MAP}" not found`;
    return { annotation: "LoggingDisabled: LOGGING_CONFIGMAP_NOT_FOUND", event: { type: "Warning", reason: "LoggingDisabled", message, from } };
  }
  const message = `Disabled logging for pod due to invalid configmap. ${logFault}. Please fix the logging configmap`;
  return { annotation: "LoggingDisabled: INVALID_LOGGING_CONFIGMAP", event: { type: "Warning", reason: "LoggingDisabled", message, from } };
}

/** Of one container. The stream is named as Fluent Bit's tag of its log file. Pure. */
export function logSinkOf(placement: PodPlacement, pod: V1Pod, container: { readonly name: string; readonly image?: string }): LogSink {
  const { logging, account, region, namespace, name } = placement;
  if (logging === undefined) return { type: "file" };
  const tag = `kube.var.log.containers.${name}_${namespace}_${container.name}-{containerId}.log`;
  const kubernetes = {
    pod_name: name,
    namespace_name: namespace,
    pod_id: placement.uid,
    labels: pod.metadata?.labels ?? {},
    annotations: pod.metadata?.annotations ?? {},
    host: nodeNameOf(placement),
    container_name: container.name,
    container_image: container.image,
  };
  return {
    type: "file",
    ship: {
      account,
      region: logging.region ?? region,
      group: logging.group,
      stream: logging.stream ?? `${logging.streamPrefix}${tag}`,
      createGroup: logging.createGroup,
      format: { ...logging.format, kubernetes },
      ...(logging.retentionDays !== undefined && { retentionDays: logging.retentionDays }),
    },
  };
}
