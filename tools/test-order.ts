import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files that take longest, in the order they are begun. The first builds the control plane where the host has not, for all others; those
 * right after it do without, and the first of them mostly waits. What is not named comes after, by vitest's own order.
 */
const FIRST: readonly string[] = [
  "test/kubernetes/control-plane-image",
  "test/clients/terraform",
  "test/recovery/kills-compute",
  "test/recovery/clock-jump",
  "test/recovery/kills-daemons",
  "test/recovery/kills-records",
  "test/kubernetes/cluster",
  "test/e2e/deploy",
  "test/kubernetes/",
  "test/e2e/rollover",
  "test/e2e/quickstart",
  "test/recovery/",
  "test/full/",
  "test/e2e/",
  "test/",
  "src/engines/cri/",
];

/** Long files first, so that no worker is left alone with one at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const path = relative(this.ctx.config.root, moduleId);
      const found = FIRST.findIndex((start) => path.startsWith(start));
      return found === -1 ? FIRST.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
