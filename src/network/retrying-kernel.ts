import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import type { Kernel } from "./kernel.ts";

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;

export type RetryingKernel = Kernel & Disposable;

/**
 * A kernel that comes to agree with the records also when a change fails: the caller sees the failure, and the VPC is built again, whole,
 * until that succeeds. Dispose it to stop.
 */
export function retryingKernel(kernel: Kernel, options: { readonly clock: Clock; readonly logger: Logger }): RetryingKernel {
  const { clock, logger } = options;
  const timers = new Map<string, Disposable>();
  let isClosed = false;

  const retryLater = (vpcId: string, delayMs: number): void => {
    if (isClosed) return;
    timers.get(vpcId)?.[Symbol.dispose]();
    const retry = async (): Promise<void> => {
      timers.delete(vpcId);
      try {
        await kernel.buildVpc(vpcId);
        logger.info("the kernel agrees with the records again", { vpcId });
      } catch (error) {
        // The VPC was deleted while it was built.
        if (isProblem(error, "not-found")) return;
        logger.warn(`the kernel does not agree with the records, trying again: ${messageOf(error)}`, { vpcId });
        retryLater(vpcId, Math.min(delayMs * 2, LONGEST_DELAY_MS));
      }
    };
    timers.set(
      vpcId,
      clock.setTimer(delayMs, () => void retry()),
    );
  };
  const mended = async (vpcId: string, work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      retryLater(vpcId, FIRST_DELAY_MS);
      throw error;
    }
  };

  return {
    start: (vpcs) => kernel.start(vpcs),
    buildVpc: (vpcId) => kernel.buildVpc(vpcId),
    removeVpc(vpcId) {
      timers.get(vpcId)?.[Symbol.dispose]();
      timers.delete(vpcId);
      return kernel.removeVpc(vpcId);
    },
    syncGroup: (vpcId, groupId) => mended(vpcId, kernel.syncGroup(vpcId, groupId)),
    syncRoutes: (vpcId) => mended(vpcId, kernel.syncRoutes(vpcId)),
    plug: (eni) => kernel.plug(eni),
    unplug: (eni, isKept) => kernel.unplug(eni, isKept),
    mendHost: () => kernel.mendHost(),
    netnsPath: (vpcId) => kernel.netnsPath(vpcId),
    blocksInUse: () => kernel.blocksInUse(),
    pickLink: (taken) => kernel.pickLink(taken),
    publish: (ports) => kernel.publish(ports),
    removeEverything: () => kernel.removeEverything(),
    [Symbol.dispose]() {
      isClosed = true;
      for (const timer of timers.values()) timer[Symbol.dispose]();
      timers.clear();
    },
  };
}
