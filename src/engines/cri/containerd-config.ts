/** What containerd's configuration depends on; everything else in it is fixed. */
export interface ContainerdSettings {
  readonly paths: ContainerdPaths;
  readonly pauseImage: string;
  /** Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed, and a daemon may not protect itself. */
  readonly mayLowerOomScore: boolean;
  readonly snapshotter: "overlayfs" | "native";
  readonly runtimes: readonly RuntimeHandler[];
  /** OCI spec that containers start from: containerd's own default with our rlimits. */
  readonly baseSpecFile: string;
}

export interface RuntimeHandler {
  /** What a sandbox asks for, e.g. `runc`. */
  readonly name: string;
  /** containerd's name of the shim, e.g. `io.containerd.runc.v2`. */
  readonly type: string;
  /** Absolute path of the OCI runtime, for runc's shim. */
  readonly binary?: string;
}

/** Where one private containerd keeps everything. Nothing is shared with another containerd but `/run/containerd/s`, the shims' sockets. */
export interface ContainerdPaths {
  readonly configFile: string;
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  readonly runcRoot: string;
  readonly registryHosts: string;
  readonly cniConf: string;
  /** Not under the run folder, which may be mounted noexec. */
  readonly cniBin: string;
  readonly logFile: string;
}

export function containerdPaths(config: { readonly dataDir: string; readonly runDir: string }): ContainerdPaths {
  return {
    configFile: `${config.dataDir}/containerd-config/config.toml`,
    root: `${config.dataDir}/containerd`,
    state: `${config.runDir}/containerd`,
    socket: `${config.runDir}/containerd.sock`,
    runcRoot: `${config.runDir}/runc`,
    registryHosts: `${config.dataDir}/containerd-config/hosts`,
    cniConf: `${config.dataDir}/containerd-config/cni`,
    cniBin: `${config.dataDir}/containerd-config/cni-bin`,
    logFile: `${config.dataDir}/log/containerd.log`,
  };
}

/** Parts of containerd that Tidegate has no use for. Names that a version does not know are harmless. */
const DISABLED = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
];

/** containerd's `config.toml` (version 2: understood by 1.6 and migrated by later ones). */
export function containerdConfig(settings: ContainerdSettings): string {
  const { paths } = settings;
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  return [
    "# Written by Tidegate at each start; changes here are lost.",
    table("", {
      version: 2,
      root: paths.root,
      state: paths.state,
      oom_score: settings.mayLowerOomScore ? -999 : 0,
      disabled_plugins: DISABLED,
    }),
    table("grpc", { address: paths.socket }),
    table("ttrpc", { address: `${paths.socket}.ttrpc` }),
    table("debug", { address: "", level: "warn" }),
    table("metrics", { address: "" }),
    table(`plugins."io.containerd.monitor.v1.cgroups"`, { no_prometheus: true }),
    table(cri, {
      sandbox_image: settings.pauseImage,
      restrict_oom_score_adj: !settings.mayLowerOomScore,
      // As on Fargate, a user other than root may bind port 80 and ping.
      enable_unprivileged_ports: true,
      enable_unprivileged_icmp: true,
      netns_mounts_under_state_dir: true,
      systemd_cgroup: false,
      // AWS splits a log event at 256 KiB; the log room joins what is longer than a line here.
      max_container_log_line_size: 16384,
      max_concurrent_downloads: 4,
    }),
    table(`${cri}.cni`, { bin_dir: paths.cniBin, conf_dir: paths.cniConf, max_conf_num: 1 }),
    table(`${cri}.registry`, { config_path: paths.registryHosts }),
    table(`${cri}.containerd`, {
      snapshotter: settings.snapshotter,
      default_runtime_name: settings.runtimes[0]?.name ?? "runc",
    }),
    ...settings.runtimes.flatMap((runtime) => runtimeTables(`${cri}.containerd.runtimes.${runtime.name}`, runtime, settings)),
  ].join("\n");
}

function runtimeTables(name: string, runtime: RuntimeHandler, settings: ContainerdSettings): readonly string[] {
  const main = table(name, { runtime_type: runtime.type, base_runtime_spec: settings.baseSpecFile });
  if (runtime.binary === undefined) return [main];
  return [main, table(`${name}.options`, { BinaryName: runtime.binary, Root: settings.paths.runcRoot, SystemdCgroup: false })];
}

type TomlValue = string | number | boolean | readonly string[];

/** TOML's basic strings are JSON's. */
function table(name: string, values: Readonly<Record<string, TomlValue>>): string {
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return [...(name === "" ? [] : [`[${name}]`]), ...lines, ""].join("\n");
}

/**
 * `_default/hosts.toml`: every registry host is served by this instance, which sees the host that was asked for in `?ns=`. containerd
 * reads it at each pull.
 */
export function registryHostsToml(registryPort: number): string {
  const url = `http://127.0.0.1:${registryPort}`;
  return [`server = ${JSON.stringify(url)}`, "", `[host.${JSON.stringify(url)}]`, '  capabilities = ["pull", "resolve"]', ""].join("\n");
}

/** The CNI network that containerd asks for: a stub with a fixed answer, because Tidegate attaches the interface itself, later. */
export const CNI_CONFLIST = JSON.stringify({
  cniVersion: "0.4.0",
  name: "tidegate",
  plugins: [{ type: "tidegate-stub" }],
});

const CNI_VERSIONS = JSON.stringify({ cniVersion: "0.4.0", supportedVersions: ["0.3.1", "0.4.0", "1.0.0"] });

/** Answers that `eth0` has an address, or containerd refuses the sandbox. */
export const CNI_STUB = stubScript(
  ":",
  '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","sandbox":"/"}],"ips":[{"version":"4","interface":0,"address":"169.254.1.1/32"}]}',
);

/** containerd insists on this plugin beside the configured one. Sets `lo` up. */
export const CNI_LOOPBACK = stubScript(
  'nsenter --net="$CNI_NETNS" ip link set lo up',
  '{"cniVersion":"0.3.1","interfaces":[{"name":"lo","sandbox":"/"}],"ips":[{"version":"4","interface":0,"address":"127.0.0.1/8"}]}',
);

function stubScript(onAdd: string, answer: string): string {
  return `#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
case "$CNI_COMMAND" in
  ADD) ${onAdd} >&2 || exit 1; echo '${answer}' ;;
  VERSION) echo '${CNI_VERSIONS}' ;;
esac
`;
}
