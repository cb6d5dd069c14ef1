import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";

/** Set-up on machines that have other things than this one: a folder of programs stands for what is installed. */

const SETUP = new URL("setup.sh", import.meta.url).pathname;
const NEEDED = ["bash", "dirname", "cat", "grep", "sort"];

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), "tidegate-setup-"));
  for (const name of NEEDED) await symlink((await run("/bin/sh", ["-c", `command -v ${name}`])).stdout.trim(), join(bin, name));
});
afterEach(() => rm(bin, { recursive: true, force: true }));

const run = promisify(execFile);

async function install(...commands: readonly string[]): Promise<void> {
  for (const name of commands) {
    await writeFile(join(bin, name), "#!/bin/sh\nexit 0\n");
    await chmod(join(bin, name), 0o755);
  }
}

/** The packages that would be installed. Commands in the machine's own /usr/sbin count as there. */
async function missing(...options: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await run(join(bin, "bash"), [SETUP, "--missing", ...options], { env: { PATH: bin } });
  return stdout.split("\n").filter((name) => name !== "");
}

it("installs Debian's parts on a bare machine", async () => {
  expect(await missing()).toEqual(expect.arrayContaining(["buildah", "catatonit", "containerd", "mmdebstrap"]));
  expect(await missing("--tests")).toEqual(expect.arrayContaining(["containerd", "skopeo", "wrk"]));
});

it("installs none of Debian's containerd, runc and docker.io where Docker's own packages are", async () => {
  await install("containerd", "containerd-shim-runc-v2", "ctr", "runc", "docker", "dockerd");
  const packages = await missing("--tests");
  for (const name of ["containerd", "runc", "docker.io"]) expect(packages).not.toContain(name);
  expect(packages).toContain("catatonit");
});

it("lets apt remove nothing", async () => {
  const { stdout } = await run("grep", ["-c", "apt-get install .*--no-remove", SETUP]);
  expect(stdout.trim()).toBe("1");
});

it("refuses an option that it does not have", async () => {
  await expect(run(SETUP, ["--purge"])).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("unknown option --purge") as string });
});
