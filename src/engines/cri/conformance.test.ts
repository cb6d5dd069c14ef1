import { join } from "node:path";
import { containerRuntimeConformance } from "../../contracts/container-runtime.conformance.ts";
import { criHarness } from "../../../test/support/cri-harness.ts";

containerRuntimeConformance("containerd", {
  writesLogs: true,
  reconnects: true,
  restarts: true,
  async makeRuntime() {
    const harness = await criHarness();
    return {
      runtime: harness.runtime(),
      shellImage: harness.shellImage,
      missingImage: "registry.invalid/nobody:1",
      runtimeHandler: "runc",
      cgroupRoot: `/tidegate-${harness.instanceId}`,
      logRoot: join(harness.folder, "logs"),
      reconnect: () => harness.reconnect(),
      restartDaemon: () => harness.killContainerd(),
      dispose: () => harness.dispose(),
    };
  },
});
