/** The compute layer over real containers on a containerd of its own; addresses are simulated, everything else is the kernel's. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { engineConformance, type ContainerDoes, type EngineHarness } from "../../src/contracts/engine.conformance.ts";
import type { Probes } from "../../src/contracts/workload.ts";
import { createControllerRunner, type ControllerRunner } from "../../src/control/controller-runner.ts";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork } from "../../src/engines/simulated/index.ts";
import { createFargate, type Fargate } from "../../src/fargate/fargate.ts";
import { testContainer, testFargateOptions, testWorkload } from "../../src/fargate/testing.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { criHarness, type CriHarness } from "../support/cri-harness.ts";

let cri: CriHarness;
beforeAll(async () => {
  cri = await criHarness();
});
afterAll(() => cri.dispose());

const health: Probes["health"] = {
  action: { type: "exec", command: ["/healthy"] },
  initialDelaySeconds: 0,
  periodSeconds: 1,
  timeoutSeconds: 5,
  failureThreshold: 2,
  successThreshold: 1,
  startPeriodSeconds: 0,
};

const SERVE = "trap 'exit 0' TERM; touch /ready; while :; do sleep 0.05; done";
/** A first process that has set no handler yet hears no signal at all: started means that it has. */
const READY = { postStart: { type: "exec", command: ["/bin/sh", "-c", "while [ ! -e /ready ]; do sleep 0.02; done"] } } as const;

function programOf(does: ContainerDoes): string {
  switch (does.type) {
    case "serves":
    case "stays-unhealthy":
    case "missing-image":
      return SERVE;
    case "exits":
      return `sleep ${(does.afterMs ?? 0) / 1000}; exit ${does.code}`;
    case "ignores-stop":
      return "trap '' TERM; touch /ready; while :; do sleep 0.05; done";
    case "becomes-healthy":
      return `sleep ${does.afterMs / 1000}; printf '#!/bin/sh\\nexit 0\\n' > /healthy; chmod +x /healthy; ${SERVE}`;
    case "eats-memory":
      break;
  }
  return "exec dd if=/dev/zero of=/dev/null bs=64M count=1";
}

async function open(warmSandboxes: number): Promise<EngineHarness & { readonly fargate: () => Fargate }> {
  const store = createMemoryStore();
  const network = createSimulatedNetwork();
  const logs = createSimulatedLogCollector();
  let fargate: Fargate;
  let runner: ControllerRunner;
  const boot = async (): Promise<void> => {
    const config = { ...cri.config, trustHostCa: true, engine: "cri" as const };
    const parts = { store, clock: systemClock, runtime: cri.runtime(), network, logs };
    const pullPolicy = { resolve: async ({ image }: { readonly image: string }) => ({ reference: image }) };
    fargate = await createFargate(testFargateOptions(parts, { config, images: pullPolicy, warmSandboxes }));
    await fargate.start();
    runner = createControllerRunner({ store, controllers: fargate.controllers, clock: systemClock, logger: silentLogger });
    await runner.start();
  };
  await boot();
  const end = async (): Promise<void> => {
    await fargate.close();
    await runner.stop();
  };
  return {
    engine: () => fargate.engine,
    fargate: () => fargate,
    container(name, does, more) {
      const probes = does.type === "becomes-healthy" || does.type === "stays-unhealthy" ? { health } : {};
      // What ends by itself may be gone before it could be asked.
      const hooks = does.type === "exits" || does.type === "eats-memory" || does.type === "becomes-healthy" ? undefined : READY;
      const image = does.type === "missing-image" ? "registry.invalid/nobody:1" : cri.shellImage;
      return testContainer(name, {
        hooks,
        image,
        pullPolicy: does.type === "missing-image" ? "never" : "if-not-present",
        entryPoint: ["/bin/sh", "-c"],
        command: [programOf(does)],
        probes,
        ...more,
      });
    },
    workload: (containers, more) => testWorkload({ id: randomIds.hex(32), containers, ...more }),
    async restart() {
      await end();
      await boot();
    },
    async leftovers() {
      const sandboxes = await cri.runtime().listSandboxes();
      return [
        ...(await cri.runtime().listContainers()).map((container) => `container ${container.name}`),
        ...(await network.list()).map((attachment) => `attachment of ${attachment.owner}`),
        ...(sandboxes.length > warmSandboxes ? [`${sandboxes.length} sandboxes`] : []),
      ];
    },
    async close() {
      await end();
      await fargate.removeEverything();
    },
  };
}

describe.each([0, 1])("the engine over containerd, %i sandboxes warm", (warm) => engineConformance(() => open(warm)));

describe("what a container is given", () => {
  it("has its own files, name, sysctls, volumes and trust; limits are the cgroup's", async () => {
    const harness = await open(1);
    try {
      const workload = harness.workload(
        [
          testContainer("web", {
            image: cri.shellImage,
            entryPoint: ["/bin/sh", "-c"],
            command: [SERVE],
            environment: [
              { name: "ADDRESS", producer: "private-ipv4" },
              { name: "META", producer: "metadata-uri-v4" },
            ],
            mounts: [
              { volume: "scratch", containerPath: "/scratch", readOnly: false },
              { volume: "conf", containerPath: "/conf", readOnly: true },
            ],
          }),
        ],
        {
          hostname: "box.example",
          hosts: [{ ip: "10.9.9.9", names: ["db"] }],
          sysctls: [
            { name: "net.ipv4.ip_unprivileged_port_start", value: "81" },
            { name: "kernel.shmmni", value: "1234" },
          ],
          volumes: [
            { name: "scratch", type: "ephemeral" },
            { name: "conf", type: "files", files: [{ path: "a/b.txt", mode: 0o440, producer: "pod-ip" }] },
          ],
        },
      );
      await harness.engine().start(workload);
      const status = await running(harness, workload.id);
      const sh = async (script: string): Promise<string> => {
        const result = await harness.engine().exec?.(workload.id, "web", { command: ["/bin/sh", "-c", script], timeoutMs: 10_000 });
        return `${result?.stdout}${result?.stderr}`;
      };
      const address = status.network?.privateIpv4 ?? "";
      expect(await sh("hostname; cat /etc/hostname; echo $HOSTNAME")).toBe("box.example\nbox.example\nbox.example\n");
      expect(await sh("cat /etc/hosts")).toContain(`${address}\tbox.example\n10.9.9.9\tdb\n`);
      expect(await sh("cat /etc/resolv.conf")).toBe("nameserver 10.0.0.2\nsearch us-east-1.compute.internal\n");
      expect(await sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni")).toBe("81\n1234\n");
      expect(await sh("cat /conf/a/b.txt; echo; echo $ADDRESS")).toBe(`${address}\n${address}\n`);
      expect(await sh("touch /scratch/x && ls /scratch; touch /conf/x")).toMatch(/^x\ntouch: .*Read-only file system\n$/);
      expect(await sh("echo $META")).toBe(`http://169.254.170.2/v4/${status.containers[0]?.runtimeId}\n`);
      expect(await sh("head -1 $SSL_CERT_FILE")).toBe("-----BEGIN CERTIFICATE-----\n");
      expect(await readFile(join(cri.config.dataDir, "workloads", workload.id, "hosts"), "utf8")).toContain("box.example");
    } finally {
      await harness.close();
    }
  });

  it("takes away sandboxes and folders that nobody owns, and adopts warm ones", async () => {
    const harness = await open(1);
    try {
      const workload = harness.workload([harness.container("web", { type: "serves" })]);
      await harness.engine().start(workload);
      await running(harness, workload.id);
      await cri.runtime().createSandbox({
        name: `tidegate-${cri.instanceId}-lost`,
        runtimeHandler: "runc",
        cgroupParent: `/tidegate-${cri.instanceId}/lost`,
        logDirectory: "/nonexistent",
        sharePidNamespace: false,
        labels: { "tidegate.instance": cri.instanceId, "tidegate.role": "unknown" },
      });
      await harness.restart();
      const names = (await cri.runtime().listSandboxes()).map((sandbox) => sandbox.name);
      expect(names).not.toContain(`tidegate-${cri.instanceId}-lost`);
      expect((await harness.engine().get(workload.id))?.status.state).toBe("RUNNING");
      await harness.fargate().removeEverything();
      expect(await cri.runtime().listSandboxes()).toEqual([]);
      expect((await harness.engine().get(workload.id))?.status).toMatchObject({
        state: "STOPPED",
        containers: [{ state: "STOPPED", exitCode: 137 }],
      });
    } finally {
      await harness.close();
    }
  });
});

async function running(harness: EngineHarness, id: string) {
  for (;;) {
    const view = await harness.engine().get(id);
    if (view?.status.state === "RUNNING") return view.status;
    expect(view?.status.stop).toBeUndefined();
    await systemClock.sleep(20);
  }
}
