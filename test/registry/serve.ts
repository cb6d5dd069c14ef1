/**
 * A registry alone in a process of its own, for the bench and the tests of memory and kills:
 * `node serve.ts FOLDER`. Prints `{port, authorization, password}` as one line of JSON when it listens.
 */
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import Fastify from "fastify";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createRegistry } from "../../src/registry/registry.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";

const folder = process.argv[2] ?? "";
const scope = { account: "123456789012", region: "eu-central-1" };
await mkdir(join(folder, "registry"), { recursive: true });
const store = await openSqliteStore({ path: join(folder, "state.db"), logger: silentLogger });
const registry = await createRegistry({
  dataDir: join(folder, "registry"),
  store,
  clock: systemClock,
  ids: randomIds,
  logger: silentLogger,
  config: { ...scope, port: 0 },
});
for (const name of process.argv.slice(3)) await registry.repositories.create({ ...scope, name }).catch(() => {});
const app = Fastify();
await app.register(registry.plugin);
await app.listen({ host: "127.0.0.1", port: 0 });
const { password, authorizationToken } = registry.tokens.issue({ ...scope, principalArn: `arn:aws:iam::${scope.account}:root` });
console.log(JSON.stringify({ port: (app.server.address() as AddressInfo).port, password, authorization: `Basic ${authorizationToken}` }));
