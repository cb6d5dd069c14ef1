import { constants } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "../../core/clock.ts";
import { silentLogger } from "../../core/logger.ts";
import { run } from "../../host/run.ts";
import { leavesRests, logLines, OutputRests } from "./output-rest.ts";

it.each([
  ["1.6.20~ds1", true],
  ["v1.6.21", true],
  ["v1.6.22", false],
  ["v1.6.33", false],
  ["1.7.2", true],
  ["v1.7.27", false],
  ["v2.0.1", false],
  ["1.5.9", true],
])("containerd %s leaves the ends of outputs: %s", (version, expected) => {
  expect(leavesRests(version)).toBe(expected);
});

it("puts what containerd left in a pipe behind its lines, once it has written them, and nothing while it still reads", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-rest-"));
  try {
    const io = join(folder, "io.containerd.grpc.v1.cri/containers/c1/io/123");
    await mkdir(io, { recursive: true });
    const [stdout, stderr, log] = [join(io, "c1-stdout"), join(io, "c1-stderr"), join(folder, "0.log")];
    await run(["mkfifo", stdout, stderr]);
    let asked = 0;
    await writeFile(log, "");
    const hasOpen = (): boolean => ++asked < 3;
    const rests = new OutputRests({ state: folder, clock: systemClock, logger: silentLogger, hasOpen });
    await rests.hold("c1", log);
    const containerd = await open(stdout, constants.O_RDONLY | constants.O_NONBLOCK);
    const shim = await Promise.all([stdout, stderr].map((path) => open(path, constants.O_WRONLY | constants.O_NONBLOCK)));
    await shim[0]?.write("one\ntwo\nthr");
    await shim[1]?.write("oops\n");
    const { bytesRead } = await containerd.read(Buffer.alloc(6), 0, 6, null);
    expect(bytesRead).toBe(6);
    await writeFile(log, "T stdout F one\nT stdout P tw\n");

    const saved = rests.save("c1", { isLetGo: false });
    await systemClock.sleep(30);
    expect(asked).toBe(0);
    await containerd.close();
    await rm(io, { recursive: true });
    // The shim passes on more, after containerd is gone from the pipe.
    await shim[0]?.write("ee\nlast");
    await Promise.all(shim.map((handle) => handle.close()));
    // Who comes while it is being saved waits for it too.
    await rests.save("c1", { isLetGo: true });
    await saved;
    expect(asked).toBe(3);
    const lines = (await readFile(log, "utf8")).replaceAll(/^\d\S+Z /gm, "+ ");
    expect(lines).toBe("T stdout F one\nT stdout P tw\n+ stdout F o\n+ stdout F three\n+ stdout P last\n+ stderr F oops\n");
    // What was saved is not saved again.
    await rests.save("c1", { isLetGo: true });
    expect((await readFile(log, "utf8")).split("\n")).toHaveLength(7);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("cuts long lines as containerd does", () => {
  const lines = logLines(Buffer.from(`${"x".repeat(20_000)}\nshort\r\n`), { stream: "stdout", atMs: 0 });
  const text = Buffer.concat(lines).toString();
  expect(text).toBe(
    `1970-01-01T00:00:00.000Z stdout P ${"x".repeat(16_384)}\n1970-01-01T00:00:00.000Z stdout F ${"x".repeat(3_616)}\n1970-01-01T00:00:00.000Z stdout F short\n`,
  );
});
