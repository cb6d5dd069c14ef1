import { ECRClient } from "@aws-sdk/client-ecr";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Credential } from "../../src/contracts/credentials.ts";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createGateway } from "../../src/gateway/gateway.ts";
import { createRegistry, type Registry } from "../../src/registry/registry.ts";
import { createEcrService } from "../../src/services/ecr/service.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { freePort } from "../support/free-port.ts";

const ACCOUNT = "123456789012";
const REGION = "eu-central-1";
const CREDENTIAL: Credential = {
  accessKeyId: "AKIAECRTEST000000001",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  account: ACCOUNT,
  principal: { arn: `arn:aws:iam::${ACCOUNT}:user/dev`, userId: "AIDADEV", accessKeyId: "AKIAECRTEST000000001" },
};

/** Gateway, ECR and registry on one port of loopback, as the server ties them. */
export interface TestEcr extends AsyncDisposable {
  readonly port: number;
  readonly registry: Registry;
  readonly folder: string;
  client(region?: string): ECRClient;
  /** For clients that are programs of their own. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The folder is made anew unless one is given (and removed in both cases). */
export async function startEcr(options: { readonly folder?: string } = {}): Promise<TestEcr> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "tidegate-ecr-")));
  const port = await freePort();
  const toolbox = { clock: systemClock, ids: randomIds, logger: silentLogger };
  const config = { account: ACCOUNT, region: REGION, port };
  const registry = await createRegistry({ ...toolbox, dataDir: folder, store: createMemoryStore(), config });
  const gateway = createGateway({
    ...toolbox,
    config: { instanceId: "abc123", account: ACCOUNT, region: REGION, auth: "iam" },
    services: [createEcrService({ registry, toolbox, config: { port } })],
    credentials: { find: async (id) => (id === CREDENTIAL.accessKeyId ? CREDENTIAL : undefined) },
    closeGraceMs: 0,
  });
  await gateway.fastify.register(registry.plugin);
  await gateway.listen("127.0.0.1", port);
  const endpoint = `http://localhost:${port}`;
  const credentials = { accessKeyId: CREDENTIAL.accessKeyId, secretAccessKey: CREDENTIAL.secretAccessKey };
  return {
    port,
    registry,
    folder,
    client: (region = REGION) => new ECRClient({ region, endpoint, credentials, maxAttempts: 1 }),
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: CREDENTIAL.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIAL.secretAccessKey,
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
    },
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await registry.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
