import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../host/run.ts";
import { flagsOf, serverCommand } from "./start-server.ts";
import { unitOf, unitText } from "./systemd.ts";

const checkout = process.cwd();

it("is a unit that systemd itself finds no fault with, whatever is in the flags", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-unit-"));
  const command = serverCommand(
    "/srv/two words/100%",
    flagsOf({
      port: "4570",
      publish: ['0.0.0.0:80=a "b" $c \\d'],
      hostPort: ["5432", "6379"],
      hosts: false,
    }),
  );
  const path = join(folder, "tidegate.service");
  await writeFile(path, unitText({ dataDir: "/srv/two words/100%", command, checkout }));
  try {
    const { stdout, stderr } = await run(["systemd-analyze", "verify", "--man=no", path]);
    expect(stdout + stderr).toBe("");
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("starts the server itself, so that systemd's signal and restart concern the control plane alone", () => {
  const text = unitText({ dataDir: "/var/lib/tidegate", command: serverCommand("/var/lib/tidegate", ["--port", "80"]), checkout });
  expect(text).toMatch(/^ExecStart=\/\S+\/node (?:\S+ )+\S+\/src\/server\/main\.ts --data-dir \/var\/lib\/tidegate --port 80$/m);
  for (const line of ["KillMode=process", "Restart=always", "StartLimitIntervalSec=0", "Wants=network-online.target"])
    expect(text).toContain(`${line}\n`);
  const odd = unitText({ dataDir: "/x", command: ["/a b", "$HOME", '"', "50%"], checkout });
  expect(odd).toContain('ExecStart="/a b" $$HOME "\\"" 50%%\n');
});

it("has a name for each data folder", () => {
  expect(unitOf("/var/lib/tidegate").name).toBe("tidegate.service");
  expect(unitOf("/srv/shop/").path).toBe("/etc/systemd/system/tidegate-srv-shop.service");
});
