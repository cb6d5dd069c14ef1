/** The files of upstream's tests, by subject: what `npm run test:conformance` takes as its arguments. */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  pods: ["e2e/common/node/", "e2e/node/"],
  volumes: ["e2e/common/storage/", "e2e/storage/"],
  network: ["e2e/common/network/", "e2e/network/"],
  apps: ["e2e/apps/"],
};

/** A test that is not run, by a part of its name, and why. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
}

/** What Fargate has not, so that no pod on it can pass. */
export const FORBIDDEN: readonly LeftOut[] = [];

/** What could be and is not. */
export const OPEN: readonly LeftOut[] = [];
