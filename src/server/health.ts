import type { ControllerState } from "../control/controller-runner.ts";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { StatusReport } from "../core/status-report.ts";

type Check = StatusReport["checks"][number];

interface HealthParts {
  readonly supervisor: DaemonSupervisor;
  readonly controllers: readonly ControllerState[];
  /** How the ports stand that the operator wants published. */
  readonly published?: readonly (InstanceConfig["publish"][number] & { readonly ok: boolean; readonly detail: string })[];
  /** False while it starts: what runs is still being adopted. */
  readonly serving: boolean;
}

/** Many failures in a row mean that a key does not converge by itself; fewer are retried and no reason to worry anyone. */
const WORRYING_FAILURES = 5;

/** Each daemon, each published port, and each controller that cannot get on, in words. Pure. */
export function healthChecks({ supervisor, controllers, published = [], serving }: HealthParts): readonly Check[] {
  const checks: Check[] = serving ? [] : [{ name: "start", ok: false, detail: "Tidegate is starting" }];
  for (const daemon of supervisor.list()) {
    const ok = daemon.pid !== undefined;
    const restarts =
      daemon.restarts === 0 ? "" : `, restarted ${daemon.restarts} times${daemon.lastExit === undefined ? "" : ` (${daemon.lastExit})`}`;
    checks.push({ name: daemon.name, ok, detail: ok ? `pid ${daemon.pid}${restarts}` : `down${restarts}` });
  }
  for (const { address, port, ok, detail } of published) checks.push({ name: `publish ${address}:${port}`, ok, detail });
  for (const controller of controllers) {
    const stuck = controller.failing.filter((key) => key.failures >= WORRYING_FAILURES);
    const [first] = stuck;
    if (first !== undefined) {
      checks.push({ name: controller.name, ok: false, detail: `${stuck.length} keys do not converge; ${first.key}: ${first.lastError}` });
    }
  }
  return checks;
}
