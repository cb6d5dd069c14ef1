import { chmod, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunResult } from "../../src/host/run.ts";
import { type MachineInstance, startInMachine } from "../support/machine-instance.ts";
import { type Machine, startMachine } from "../support/machine.ts";
import { snapshotOf } from "../support/machine-snapshot.ts";
import { createStack } from "../support/stack.ts";
import { pidOf } from "../support/task-network.ts";

/** `tidegate install` on a machine whose systemctl is a short imitation: it does what the unit says, and writes down what it was asked. */

const UNIT = "/etc/systemd/system/tidegate.service";
const SYSTEMCTL = `#!/bin/sh
echo "$*" >>/run/systemctl.log
pid=$(cat /run/unit.pid 2>/dev/null)
alive() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }
stop() { if alive; then kill -TERM "$pid"; while alive; do sleep 0.05; done; fi; }
case "$1" in
  start) alive || { eval "setsid $(sed -n 's/^ExecStart=//p' "/etc/systemd/system/$2") >>/run/unit.log 2>&1 </dev/null &"; echo $! >/run/unit.pid; } ;;
  stop) stop ;;
  enable) mkdir -p /etc/systemd/system/multi-user.target.wants; ln -sf "../$2" /etc/systemd/system/multi-user.target.wants/ ;;
  disable) [ "$2" != --now ] || stop; rm -f "/etc/systemd/system/multi-user.target.wants/$3" ;;
esac
`;

let machine: Machine;
let instance: MachineInstance;
let asFound: readonly string[];

beforeAll(async () => {
  machine = await startMachine();
  await writeFile(join(machine.shared, "systemctl"), SYSTEMCTL);
  await chmod(join(machine.shared, "systemctl"), 0o755);
  asFound = await snapshotOf(machine);
  instance = await startInMachine(machine);
});

afterAll(() => machine?.dispose());

function tidegate(args: readonly string[], okCodes: readonly number[] = [0]): Promise<RunResult> {
  const path = `${machine.shared}:${process.env["PATH"]}:/usr/sbin:/sbin`;
  return machine.exec(["env", `PATH=${path}`, resolve("tidegate"), ...args], { okCodes, timeoutMs: 120_000 });
}

const boot = (): Promise<RunResult> => machine.exec(["mkdir", "-p", "/run/systemd/system"]);
const asked = async (): Promise<string> => (await machine.exec(["cat", "/run/systemctl.log"])).stdout;

describe("install", () => {
  test("says what to do where there is no systemd, and writes nothing", async () => {
    const { code, stderr } = await tidegate(["install"], [0, 1]);
    expect(code).toBe(1);
    expect(stderr).toContain("does not run systemd");
    expect(stderr).toContain("tidegate --data-dir /var/lib/tidegate up");
    expect((await machine.exec(["ls", UNIT], { okCodes: [2] })).code).toBe(2);
  });

  test("hands a running instance to systemd; its tasks go on through that, `down`, `up` and `uninstall`", { timeout: 120_000 }, async () => {
    const stack = await createStack(instance);
    await stack.reach(await stack.start(await stack.define("stays", [{ name: "stays", command: ["sleep", "74001"] }])), "RUNNING");
    const pid = await pidOf(machine, "sleep 74001");
    await boot();

    const { stdout } = await tidegate(["install", "--host-port", "5432"]);
    expect(stdout).toContain("from each boot on");
    expect((await tidegate(["status"])).stdout).toContain("ok  http://localhost:4566");
    expect(await asked()).toBe("daemon-reload\nenable tidegate.service\nstop tidegate.service\nstart tidegate.service\n");
    expect((await tidegate(["down"])).stdout).toContain("tidegate.service starts it again at the next boot");
    expect((await tidegate(["status"], [3])).stdout).toContain("down");
    expect((await tidegate(["up", "--detach", "--port", "4599"], [2])).stderr).toContain("`install` changes its flags");
    expect((await tidegate(["up", "--detach"])).stdout).toContain("serves at http://localhost:4566");
    expect((await machine.exec(["nft", "list", "ruleset"])).stdout).toContain("th dport 5432 dnat");
    expect((await tidegate(["uninstall"])).stdout).toContain("tidegate.service is removed");
    expect((await machine.exec(["ls", "-A", "/etc/systemd/system/multi-user.target.wants"])).stdout).not.toContain("tidegate");
    expect(await pidOf(machine, "sleep 74001")).toBe(pid);
  });

  test("`down --all --purge` removes the unit with the rest", { timeout: 120_000 }, async () => {
    await tidegate(["install"]);
    await tidegate(["down", "--all", "--purge"]);
    await machine.exec(["sh", "-c", "rm -r /run/systemctl.log /run/unit.log /run/unit.pid /run/systemd"]);
    const relay = (line: string): boolean => line.startsWith("process: node -e");
    expect((await snapshotOf(machine)).filter((line) => !relay(line))).toEqual(asFound);
  });
});
