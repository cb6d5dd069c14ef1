import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../src/host/run.ts";
import { until } from "../../support/instance.ts";
import { freePort } from "../../support/free-port.ts";

/** Debian's docker-registry, by HTTPS, for one user. */
export interface PrivateRegistry extends AsyncDisposable {
  /** e.g. `127.0.0.1:40123`. */
  readonly host: string;
  /** `user:password`. */
  readonly login: string;
}

/** By bcrypt, the one way that it knows; of `s3cret`. */
const USERS = "ann:$2b$04$5bD/MqwM.nA71tBa5WXvtuT7u2CJG3/HxzOJupqPGuxx4Vgi.6lOi\n";

/** Starts one; whatever Node process is started from then on with this environment trusts it. */
export async function startPrivateRegistry(): Promise<PrivateRegistry> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-private-"));
  const [key, certificate, users, configuration] = ["key.pem", "certificate.pem", "htpasswd", "configuration.yml"].map((name) => join(folder, name));
  if (key === undefined || certificate === undefined || users === undefined || configuration === undefined) throw new Error("no names");
  const subject = ["-subj", "/CN=private", "-addext", "subjectAltName=IP:127.0.0.1"];
  await run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate, ...subject]);
  await writeFile(users, USERS);
  const port = await freePort();
  const document = {
    version: 0.1,
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, "data") } },
    auth: { htpasswd: { realm: "private", path: users } },
    http: { addr: `127.0.0.1:${port}`, tls: { certificate, key } },
  };
  await writeFile(configuration, JSON.stringify(document));
  const child = spawn("docker-registry", ["serve", configuration], { stdio: "ignore" });
  const ended = once(child, "exit");
  process.env["NODE_EXTRA_CA_CERTS"] = certificate;
  const host = `127.0.0.1:${port}`;
  const asked = ["curl", "--silent", "--cacert", certificate, "--output", "/dev/null", "--write-out", "%{http_code}", `https://${host}/v2/`];
  await until("the private registry wants a login", async () => (await run(asked)).stdout === "401");
  return {
    host,
    login: "ann:s3cret",
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      delete process.env["NODE_EXTRA_CA_CERTS"];
      await rm(folder, { recursive: true });
    },
  };
}
