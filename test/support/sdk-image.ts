import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { run } from "../../src/host/run.ts";

const MODULES = resolve(import.meta.dirname, "../../node_modules");

/** Says who it is to STS, by the SDK as it is, with nothing set: JSON, or the error's name and words. */
const WHO_AM_I = `import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
try {
  const { Arn } = await new STSClient({ maxAttempts: 2 }).send(new GetCallerIdentityCommand({}));
  console.log(Arn);
} catch (error) {
  console.log(error.name, error.message);
}
`;

/** Prints the caller's ARN, for an image with these files. */
export const WHO_AM_I_COMMAND = "cd /app && busybox tar -xf sdk.tar && exec node who-am-i.mjs";

/** Files beside the tiny image's: Node as the tests run it, with the libraries that it needs, and the unmodified SDK's STS client. */
export async function sdkFiles(): Promise<Readonly<Record<string, string | Uint8Array>>> {
  const node = join(MODULES, "node/bin/node");
  const { stdout } = await run(["ldd", node]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
  const packages = [
    "tar",
    "--directory",
    MODULES,
    "--create",
    "--transform",
    "s,^,node_modules/,",
    "--file",
    "-",
    ...closureOf("@aws-sdk/client-sts"),
  ];
  const sdk = await run(["sh", "-c", `${packages.map((word) => `'${word}'`).join(" ")} | base64 --wrap=0`], { timeoutMs: 60_000 });
  return {
    "bin/node": await readFile(node),
    ...Object.fromEntries(await Promise.all(libraries.map(async (path) => [path.slice(1), await readFile(path)] as const))),
    "app/sdk.tar": Buffer.from(sdk.stdout, "base64"),
    "app/who-am-i.mjs": WHO_AM_I,
  };
}

/** The folders of a package and of all that it needs. */
function closureOf(name: string): readonly string[] {
  const require = createRequire(import.meta.url);
  const found = new Set<string>();
  const add = (each: string): void => {
    if (found.has(each)) return;
    found.add(each);
    const { dependencies = {} } = require(join(MODULES, each, "package.json")) as { readonly dependencies?: Readonly<Record<string, string>> };
    Object.keys(dependencies).forEach(add);
  };
  add(name);
  return [...found];
}
