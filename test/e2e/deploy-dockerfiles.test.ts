import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { type PrivateDocker, startDockerd } from "../support/dockerd.ts";
import { startInstance, type TestInstance } from "../support/instance.ts";

/** As teams write them: nothing here knows of Tidegate. */
const DOCKERFILE = `# syntax=docker/dockerfile:1
ARG NODE_TAG=26-slim
FROM node:\${NODE_TAG} AS build
WORKDIR /app
COPY package*.json ./
RUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = hush && npm ci
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:\${NODE_TAG}
ARG RELEASE=none
LABEL org.opencontainers.image.version=$RELEASE
ENV NODE_ENV=production RELEASE=\${RELEASE}
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
RUN sh -c "adduser --system --group --no-create-home app && addgroup --gid 3000 extra && adduser app extra"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN [[ -n "$BASH_VERSION" ]] && echo tried | cat > /etc/tried
WORKDIR /app
COPY --from=build --chown=node:node /app/node_modules ./node_modules
COPY --from=build --chown=node:node /app/dist ./dist
COPY --chmod=755 entrypoint.sh /usr/local/bin/
VOLUME /scratch
HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD exit 1
STOPSIGNAL SIGTERM
USER node
EXPOSE 3000/tcp
ENTRYPOINT ["entrypoint.sh"]
CMD ["node", "dist/server.mjs"]
`;

const ENTRY_POINT = `#!/bin/sh
set -e
export STARTED_BY="entrypoint.sh $1"
exec "$@"
`;

const SERVER = `import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { hash, verify } from "@node-rs/argon2";

const facts: Record<string, unknown> = {
  argon2: await verify(await hash("correct horse"), "correct horse"),
  release: process.env.RELEASE,
  startedBy: process.env.STARTED_BY,
  uid: process.getuid?.(),
  tried: readFileSync("/etc/tried", "utf8").trim(),
  curl: execFileSync("curl", ["--version"]).toString().split(" ")[0],
  app: execFileSync("id", ["app"]).toString().trim(),
};
createServer((_request, response) => response.end(JSON.stringify(facts))).listen(Number(process.env.PORT ?? 3000), "0.0.0.0");
process.once("SIGTERM", () => process.exit(0));
`;

const PACKAGE = {
  name: "somebodys-app",
  version: "1.0.0",
  private: true,
  type: "module",
  scripts: { build: "esbuild src/server.ts --bundle --packages=external --platform=node --format=esm --outfile=dist/server.mjs" },
  dependencies: { "@node-rs/argon2": "2.2.1" },
  devDependencies: { esbuild: "0.28.2" },
};

let instance: TestInstance;
let folder: string;
let docker: PrivateDocker | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-dockerfiles-"));
  const app = join(folder, "somebodys-app");
  await mkdir(join(app, "src"), { recursive: true });
  const files = {
    Dockerfile: DOCKERFILE,
    "entrypoint.sh": ENTRY_POINT,
    "src/server.ts": SERVER,
    "package.json": JSON.stringify(PACKAGE),
    ".npm-token": "hush",
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(app, path), text);
  await run(["npm", "install", "--package-lock-only", "--ignore-scripts"], { cwd: app, timeoutMs: 120_000 });
  instance = await startInstance();
  await instance.cli(["images", "seed", "node"]);
  docker = await startDockerd();
  // Debian's client first: it talks BuildKit to the engine of its own version.
  process.env["PATH"] = `/usr/bin:${process.env["PATH"]}`;
  process.env["DOCKER_HOST"] = docker.host;
});

afterAll(async () => {
  try {
    await instance?.remove();
  } finally {
    await docker?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
});

describe.each(["buildah", "docker"])("a Dockerfile that was not written for Tidegate, built by %s", (builder) => {
  test("builds and serves", { timeout: 300_000 }, async () => {
    const flags = ["--builder", builder, "--name", `app-${builder}`, "--build-arg", `RELEASE=by-${builder}`, "--build-secret", "token=.npm-token"];
    const { stdout } = await instance.cli(["deploy", join(folder, "somebodys-app"), "--count", "1", "--json", ...flags]);
    const { url } = JSON.parse(stdout) as { url: string };
    const facts = (await (await fetch(url)).json()) as Record<string, unknown>;
    expect(facts).toMatchObject({
      argon2: true,
      release: `by-${builder}`,
      startedBy: "entrypoint.sh node",
      uid: 1000,
      tried: "tried",
      curl: "curl",
    });
    expect(facts["app"]).toMatch(/\(app\) groups=.*3000\(extra\)/);
    // The image's HEALTHCHECK says no each second; ECS heeds only the task definition's.
    const { taskArns } = await instance.aws<{ taskArns: string[] }>("ecs", "list-tasks", "--service-name", `app-${builder}`);
    const { tasks } = await instance.aws<{ tasks: object[] }>("ecs", "describe-tasks", "--tasks", ...taskArns);
    expect(tasks).toMatchObject([{ lastStatus: "RUNNING", healthStatus: "UNKNOWN" }]);
  });

  test("whose base image is nowhere fails with its name and what to do", async () => {
    const lost = join(folder, `lost-${builder}`);
    await mkdir(lost, { recursive: true });
    await writeFile(join(lost, "Dockerfile"), "FROM node:26-slim AS one\nFROM python:3.13-slim\nRUN true\n");
    const { stderr } = await instance.cli(["deploy", lost, "--builder", builder], { okCodes: [1] });
    expect(stderr).toContain("The base image docker.io/library/python:3.13-slim is not kept here, and its own registry did not give it.");
    expect(stderr).toContain("tidegate images seed node");
  });
});
