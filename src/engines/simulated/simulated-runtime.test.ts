import { expect, it } from "vitest";
import { CONFORMANCE_EXECS, containerRuntimeConformance } from "../../contracts/container-runtime.conformance.ts";
import { FakeClock, systemClock } from "../../core/clock.ts";
import { randomIds } from "../../core/ids.ts";
import { createSimulatedNetwork, createSimulatedRuntime, type Behaviour, type SimulationScript } from "./index.ts";

const HOUR_MS = 3_600_000;

const exec: Behaviour["exec"] = ({ command }) => {
  const known = CONFORMANCE_EXECS.find((each) => each.command.join(" ") === command.join(" "));
  return known?.answer ?? { exitCode: 0, takesMs: HOUR_MS };
};

const script: SimulationScript = {
  containers: {
    forever: { exec },
    "exits-3": { runsForMs: 0, exitCode: 3 },
    stubborn: { stopsAfterMs: HOUR_MS },
    talker: { runsForMs: 0 },
  },
  images: { "example/none": { pullFails: { kind: "not-found", message: "example/none: not found" } } },
};

containerRuntimeConformance("the simulated runtime", {
  writesLogs: false,
  reconnects: false,
  restarts: false,
  makeRuntime: async () => ({
    runtime: createSimulatedRuntime({ clock: systemClock, ids: randomIds, script }),
    shellImage: "example/shell",
    missingImage: "example/none",
    runtimeHandler: "runc",
    cgroupRoot: "/simulated",
    logRoot: "/simulated/logs",
    dispose: async () => {},
  }),
});

it("follows its script in the clock's time, attempt by attempt", async () => {
  const clock = new FakeClock();
  const runtime = createSimulatedRuntime({
    clock,
    ids: randomIds,
    script: {
      containers: {
        job: [
          { runsForMs: 60_000, outOfMemory: true },
          { runsForMs: 1000, exitCode: 9 },
        ],
      },
    },
  });
  const sandbox = await runtime.createSandbox({
    name: "s",
    runtimeHandler: "",
    cgroupParent: "/s",
    logDirectory: "/s",
    sharePidNamespace: false,
    labels: {},
  });
  const image = await runtime.pullImage({ image: "i", policy: "always" });
  const run = async (attempt: number): Promise<string> => {
    const id = await runtime.createContainer(sandbox, {
      name: "job",
      attempt,
      image,
      environment: [],
      mounts: [],
      supplementalGroups: [],
      addCapabilities: [],
      dropCapabilities: [],
      readOnlyRootFilesystem: false,
      noNewPrivileges: false,
      cpuShares: 2,
      ulimits: [],
      tty: false,
      stdin: false,
      logPath: "job/0.log",
      labels: {},
    });
    await runtime.startContainer(id);
    return id;
  };
  const first = await run(0);
  await clock.advance(59_999);
  expect(await runtime.inspectContainer?.(first)).toMatchObject({ state: "running" });
  await clock.advance(1);
  expect(await runtime.inspectContainer?.(first)).toMatchObject({ state: "exited", exitCode: 137, oomKilled: true });
  const second = await run(1);
  await clock.advance(1000);
  expect(await runtime.inspectContainer?.(second)).toMatchObject({ state: "exited", exitCode: 9, oomKilled: false });
  expect(clock.pendingDelaysMs()).toEqual([]);
});

it("hands out addresses once, and again when they are free", async () => {
  const network = createSimulatedNetwork({ subnets: { "subnet-1": { vpcId: "vpc-1", cidr: "10.1.2.0/28" } } });
  const attach = (attachmentId: string): ReturnType<typeof network.allocate> =>
    network.allocate({
      attachmentId,
      owner: "me",
      account: "1",
      region: "us-east-1",
      subnetId: "subnet-1",
      securityGroupIds: [],
      assignPublicIp: false,
      description: "",
    });
  const all = await Promise.all(Array.from({ length: 11 }, (_, index) => attach(`a${index}`)));
  expect(all[0]).toMatchObject({ privateIpv4: "10.1.2.4", gatewayIpv4: "10.1.2.1", vpcId: "vpc-1" });
  expect(new Set(all.map((status) => status.privateIpv4)).size).toBe(11);
  expect(await attach("a0")).toEqual(all[0]);
  await expect(attach("b")).rejects.toMatchObject({ kind: "exhausted" });
  await network.detach("a3");
  await network.detach("a3");
  expect((await attach("b")).privateIpv4).toBe(all[3]?.privateIpv4);
});
