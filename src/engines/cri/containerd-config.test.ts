import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../host/run.ts";
import { containerdConfig, containerdPaths, registryHostsToml } from "./containerd-config.ts";
import type { ContainerdSettings } from "./containerd-config.ts";

const settings: ContainerdSettings = {
  paths: containerdPaths({ dataDir: "/data", runDir: "/run/tg" }),
  pauseImage: "tidegate.internal/pause:1",
  mayLowerOomScore: false,
  snapshotter: "overlayfs",
  runtimes: [
    { name: "runc", type: "io.containerd.runc.v2", binary: "/usr/sbin/runc" },
    { name: "runsc", type: "io.containerd.runsc.v1" },
  ],
  baseSpecFile: "/data/spec.json",
};

/** What containerd itself makes of the file. */
async function dump(settings: ContainerdSettings): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "tg-config-"));
  try {
    const file = join(folder, "config.toml");
    writeFileSync(file, containerdConfig(settings));
    return (await run(["containerd", "--config", file, "config", "dump"])).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("containerd reads the configuration as it is meant", async () => {
  const text = await dump(settings);
  for (const line of [
    'root = "/data/containerd"',
    'state = "/run/tg/containerd"',
    'address = "/run/tg/containerd.sock"',
    'sandbox_image = "tidegate.internal/pause:1"',
    "restrict_oom_score_adj = true",
    "enable_unprivileged_ports = true",
    "netns_mounts_under_state_dir = true",
    'config_path = "/data/containerd-config/hosts"',
    'Root = "/run/tg/runc"',
    'BinaryName = "/usr/sbin/runc"',
    'runtime_type = "io.containerd.runsc.v1"',
    'snapshotter = "overlayfs"',
    "oom_score = 0",
  ]) {
    expect(text).toContain(line);
  }
});

test("with CAP_SYS_RESOURCE the daemon protects itself and scores are not restricted", async () => {
  const text = await dump({ ...settings, mayLowerOomScore: true });
  expect(text).toContain("oom_score = -999");
  expect(text).toContain("restrict_oom_score_adj = false");
});

test("every registry host is sent to the one port, and nowhere else", () => {
  expect(registryHostsToml(4567)).toBe('server = "http://127.0.0.1:4567"\n\n[host."http://127.0.0.1:4567"]\n  capabilities = ["pull", "resolve"]\n');
});
