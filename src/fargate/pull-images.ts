import type { ImageInfo } from "../contracts/container-runtime.ts";
import type { StartFailure } from "../contracts/engine.ts";
import type { ContainerSpec } from "../contracts/workload.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import type { ComputeContext } from "./compute-context.ts";
import type { Unit } from "./session.ts";

/** Waits between the tries of a pull whose registry or runtime cannot be reached: together longer than a killed daemon takes to be back. */
const RETRY_DELAYS_MS = [500, 2000, 5000];

/** Pulls one container's image and notes what came of it: the image, or why the container cannot start. Never throws for the image's sake. */
export async function pullFor(context: ComputeContext, unit: Unit, spec: ContainerSpec, attempt: number): Promise<ImageInfo | undefined> {
  const { session } = unit;
  const { clock } = context;
  session.pullStartedAtMs ??= clock.nowMs();
  try {
    const image = await pullWithRetries(context, unit, spec);
    session.images.set(spec.name, image);
    session.mark(`pulled ${spec.name}`);
    return image;
  } catch (error) {
    context.signal.throwIfAborted();
    session.startFailures.set(spec.name, { attempt, text: pullFailure(spec.image, error), ...failureOf(spec, error), atMs: clock.nowMs() });
    return undefined;
  } finally {
    session.pullStoppedAtMs = clock.nowMs();
  }
}

async function pullWithRetries(context: ComputeContext, unit: Unit, spec: ContainerSpec): Promise<ImageInfo> {
  for (let tries = 0; ; tries++) {
    try {
      return await pullOnce(context, unit, spec);
    } catch (error) {
      const delayMs = RETRY_DELAYS_MS[tries];
      if (delayMs === undefined || !isProblem(error, "unavailable") || unit.record.stop !== undefined) throw error;
      await context.clock.sleep(delayMs, context.signal);
    }
  }
}

async function pullOnce({ images, runtime, signal }: ComputeContext, { record }: Unit, spec: ContainerSpec): Promise<ImageInfo> {
  const { account, region, executionRoleArn, labels } = record.workload;
  const resolved = await images.resolve({ image: spec.image, account, region, executionRoleArn, labels });
  signal.throwIfAborted();
  return runtime.pullImage({
    image: resolved.reference,
    digest: spec.imageDigest ?? resolved.digest,
    policy: spec.pullPolicy,
    credentials: resolved.credentials,
  });
}

function failureOf(spec: ContainerSpec, error: unknown): StartFailure {
  const words = messageOf(error);
  if (isProblem(error, "invalid") && /invalid reference format|is not an image name|is no image name/i.test(words))
    return { step: "image-name", words };
  return { step: spec.pullPolicy === "never" && isProblem(error, "not-found") ? "image-absent" : "pull", words };
}

const NO_PERMISSION = /unauthori[sz]ed|denied|forbidden|no basic auth|\b40[13]\b/i;

/** The words of ECS for a failed pull, with the registry's own at their end. @see fargate-semantics §3.3. */
export function pullFailure(image: string, error: unknown): string {
  const words = messageOf(error);
  if (isProblem(error, "not-found")) return `CannotPullContainerError: The task can’t pull the image. Check whether the image exists. ${words}`;
  if (isProblem(error, "unavailable")) {
    return `CannotPullContainerError: The task cannot pull ${image} from the registry ${registryOf(image)}. There is a connection issue between the task and the registry. Check your task network configuration. : ${words}`;
  }
  if (NO_PERMISSION.test(words)) {
    return `CannotPullContainerError: The task can’t pull the image. Check that the role has the permissions to pull images from the registry. ${words}`;
  }
  return `CannotPullContainerError: ${words}`;
}

function registryOf(image: string): string {
  const first = image.split("/")[0] ?? "";
  return image.includes("/") && (first.includes(".") || first.includes(":") || first === "localhost") ? first : "docker.io";
}
