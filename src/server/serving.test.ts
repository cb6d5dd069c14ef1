import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, it } from "vitest";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "tidegate-serving-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Says that it is there, waits for the others, claims the instance, and says what came of it; then it lives on. */
const CLAIM = `
  const { claimInstance } = await import(process.argv[1]);
  const { existsSync } = await import("node:fs");
  const [, , folder] = process.argv;
  console.log("ready");
  while (!existsSync(folder + "/go"));
  await claimInstance({ runDir: folder + "/run", dataDir: folder + "/data" }).then(() => console.log("serves"), (error) => console.log(error.message));
  setInterval(() => {}, 1000);`;

it("is one process's alone, of all that are started in the same moment", async () => {
  const module = join(import.meta.dirname, "serving.ts");
  const children = Array.from({ length: 3 }, () =>
    spawn(process.execPath, ["--input-type=module", "-e", CLAIM, module, folder], { stdio: ["ignore", "pipe", "inherit"] }),
  );
  try {
    const lines = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    const next = () => Promise.all(lines.map(async (each) => (await each.next()).value as string));
    expect(await next()).toEqual(["ready", "ready", "ready"]);
    await writeFile(join(folder, "go"), "");
    const said = await next();
    const { pid } = JSON.parse(await readFile(join(folder, "run/server.json"), "utf8")) as { readonly pid: number };
    const refused = `${folder}/data is served by process ${pid} already; \`tidegate down\` ends it`;
    expect(said.toSorted()).toEqual([refused, refused, "serves"].toSorted());
    expect(said[children.findIndex((child) => child.pid === pid)]).toBe("serves");
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
});
