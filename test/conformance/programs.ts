import { createHash } from "node:crypto";
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { KUBERNETES_VERSION } from "../../src/builder/kubernetes/look.ts";
import { run } from "../../src/host/run.ts";

/** Upstream's tests, and the program that their pods run, built from the official Go modules; kept outside the checkout, by what they are made of. */

const MODULE_FOLDER = resolve(import.meta.dirname, "../../kubernetes/conformance");
const CACHE_FOLDER = "/var/cache/tidegate/conformance";
const BUILD_TIMEOUT_MS = 60 * 60_000;
const AGNHOST = "k8s.io/kubernetes/test/images/agnhost";

/** In the agnhost image beside Debian's essential packages: what the tests start in it by a shell; and the other images' own shell. */
const PACKAGES = ["bash-static", "busybox-static", "curl", "bind9-dnsutils", "netcat-openbsd", "iproute2"];

export interface ConformancePrograms {
  /** The tests, as one binary that takes `--ginkgo.…` flags and upstream's own. */
  readonly tests: string;
  readonly agnhost: string;
  /** A Debian file system, as a tar. */
  readonly debian: string;
  /** agnhost's certificate and key, of upstream's folder. */
  readonly porter: string;
}

/** @throws when Go or mmdebstrap is missing, or with the build's last words. */
export async function conformancePrograms(say: (text: string) => void): Promise<ConformancePrograms> {
  const folder = join(CACHE_FOLDER, await digest());
  const made = { tests: join(folder, "e2e.test"), agnhost: join(folder, "agnhost"), debian: join(folder, "debian.tar") };
  const porter = join(folder, "porter");
  await mkdir(porter, { recursive: true });
  const draft = await mkdtemp(join(folder, "draft-"));
  try {
    const version = "k8s.io/component-base/version";
    const [major, minor] = KUBERNETES_VERSION.split(".");
    const stamp = `-s -w -X ${version}.gitVersion=v${KUBERNETES_VERSION} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`;
    const flags = ["-trimpath", "-mod=readonly", "-ldflags", stamp];
    await once(made.tests, "the tests, by Go: some minutes", (path) => go(["test", "-c", ...flags, "-o", path, "."]));
    await once(made.agnhost, "agnhost, by Go", (path) => go(["build", ...flags, "-o", path, AGNHOST]));
    await once(made.debian, "a Debian for it, by mmdebstrap", debian);
    const source = (await go(["list", "-f", "{{.Dir}}", AGNHOST])).stdout.trim();
    for (const name of ["localhost.crt", "localhost.key"]) await copyFile(join(source, "porter", name), join(porter, name));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return { ...made, porter };

  /** Appears whole, or not at all. */
  async function once(path: string, what: string, make: (draft: string) => Promise<unknown>): Promise<void> {
    if (await isThere(path)) return;
    say(`builds ${what}`);
    const unfinished = join(draft, "unfinished");
    await make(unfinished);
    await rename(unfinished, path);
  }
}

function go(args: readonly string[]): Promise<{ readonly stdout: string }> {
  const environment = { CGO_ENABLED: "0", PATH: `${process.env["PATH"]}:/usr/local/go/bin` };
  return run(["nice", "go", ...args], { cwd: MODULE_FOLDER, environment, timeoutMs: BUILD_TIMEOUT_MS });
}

function debian(path: string): Promise<unknown> {
  const left = ["doc", "man", "info", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const options = [`--include=${PACKAGES.join(",")}`, ...left, "--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"'];
  return run(["mmdebstrap", "--quiet", "--format=tar", "--variant=essential", "--mode=root", ...options, "bookworm", path], { timeoutMs: 600_000 });
}

async function digest(): Promise<string> {
  const hash = createHash("sha256").update(PACKAGES.join());
  for (const name of ["go.mod", "go.sum", "conformance_test.go"]) hash.update(await readFile(join(MODULE_FOLDER, name)));
  return `${KUBERNETES_VERSION}-${hash.digest("hex").slice(0, 12)}`;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
