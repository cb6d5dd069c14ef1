import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { expect } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { run } from "../../../src/host/run.ts";
import { type TestInstance, until } from "../../support/instance.ts";
import type { OidcIssuer } from "../../support/oidc-issuer.ts";

/** Whom a cluster lets in, and to what, by the real aws and kubectl. The cluster begins with its ConfigMap alone, and ends with access entries alone. */

export interface Within {
  readonly instance: TestInstance;
  readonly cluster: string;
  readonly endpoint: string;
  /** Of the cluster's creator. */
  readonly environment: Readonly<Record<string, string>>;
}

interface Credentials {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly SessionToken?: string;
}

type Kubectl = (...args: readonly string[]) => Promise<string>;

const NOBODY = /Unauthorized|must be logged in/;

/** kubectl as somebody; what it says, also where it fails. */
function kubectlAs({ environment }: Within, credentials?: Credentials): Kubectl {
  const theirs = credentials && {
    AWS_ACCESS_KEY_ID: credentials.AccessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.SecretAccessKey,
    AWS_SESSION_TOKEN: credentials.SessionToken ?? "",
  };
  return async (...args) => {
    const { stdout, stderr } = await run(["kubectl", ...args], { environment: { ...environment, ...theirs }, timeoutMs: 60_000, okCodes: [0, 1] });
    return stdout + stderr;
  };
}

const WHO = ["auth", "whoami", "--output", "jsonpath={.status.userInfo.username}"];

/** A user and a role of the account: nobody, mapped by the ConfigMap, by an entry, with rights by RBAC and by a policy, and nobody again. */
export async function letsInByMapAndEntries(within: Within): Promise<void> {
  const { instance, cluster } = within;
  const user = await instance.aws<{ readonly User: { readonly Arn: string } }>("iam", "create-user", "--user-name", "reader");
  const key = await instance.aws<{ readonly AccessKey: Credentials }>("iam", "create-access-key", "--user-name", "reader");
  const trust = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" }] });
  const made = ["iam", "create-role", "--role-name", "dev", "--assume-role-policy-document", trust];
  const { Role } = await instance.aws<{ readonly Role: { readonly Arn: string } }>(...made);
  const assume = ["sts", "assume-role", "--role-arn", Role.Arn, "--role-session-name", "me@example.com"];
  const session = await instance.aws<{ readonly Credentials: Credentials }>(...assume);
  const [creator, asUser, asRole] = [kubectlAs(within), kubectlAs(within, key.AccessKey), kubectlAs(within, session.Credentials)];
  const arns = { user: user.User.Arn, role: Role.Arn };

  expect(await asUser("get", "configmaps")).toMatch(NOBODY);
  await letsInByMap({ creator, asUser, asRole, arns });
  const update = ["eks", "update-cluster-config", "--name", cluster, "--access-config"];
  await instance.aws(...update, "authenticationMode=API_AND_CONFIG_MAP");
  expect(await asUser(...WHO)).toBe("reader");
  await letsInByEntry(within, asUser, arns.user);
  expect(await asRole(...WHO)).toBe("dev:me-example.com");
  await instance.aws(...update, "authenticationMode=API");
  expect(await asUser(...WHO)).toMatch(NOBODY);
  expect(await asRole(...WHO)).toMatch(NOBODY);
  expect(await creator("auth", "can-i", "*", "*")).toContain("yes");
}

async function letsInByMap({
  creator,
  asUser,
  asRole,
  arns,
}: {
  readonly creator: Kubectl;
  readonly asUser: Kubectl;
  readonly asRole: Kubectl;
  readonly arns: { readonly user: string; readonly role: string };
}): Promise<void> {
  const mapRoles = `- rolearn: ${arns.role}\n  username: dev:{{SessionName}}\n  groups:\n  - devs\n`;
  const mapUsers = `- userarn: ${arns.user}\n  username: reader\n`;
  const map = ["create", "configmap", "aws-auth", "--namespace", "kube-system"];
  await creator(...map, `--from-literal=mapRoles=${mapRoles}`, `--from-literal=mapUsers=${mapUsers}`);
  await until("the ConfigMap is in force", async () => (await asRole(...WHO)) === "dev:me-example.com");
  expect(await asUser(...WHO)).toBe("reader");
  // Mapped, and without any right.
  expect(await asRole("get", "configmaps")).toContain("Forbidden");
  await creator("create", "role", "reads", "--verb", "get,list", "--resource", "configmaps");
  await creator("create", "rolebinding", "devs-read", "--role", "reads", "--group", "devs");
  await until("the role's rights are in force", async () => (await asRole("auth", "can-i", "list", "configmaps")).includes("yes"));
  expect(await asRole("auth", "can-i", "delete", "configmaps")).toContain("no");
  expect(await asUser("auth", "can-i", "list", "configmaps")).toContain("no");
  // One that cannot be read is told, and changes nothing.
  const broken = JSON.stringify({ data: { mapRoles: "- rolearn: [" } });
  await creator("patch", "configmap", "aws-auth", "--namespace", "kube-system", "--patch", broken);
  const events = ["get", "events", "--namespace", "kube-system", "--field-selector", "reason=InvalidIdentityMapping"];
  await until("an event tells of it", async () => (await creator(...events)).includes("mapRoles is no YAML"));
  expect(await asRole(...WHO)).toBe("dev:me-example.com");
}

async function letsInByEntry({ instance, cluster }: Within, asUser: Kubectl, userArn: string): Promise<void> {
  const whose = ["--cluster-name", cluster, "--principal-arn", userArn];
  await instance.aws("eks", "create-access-entry", ...whose);
  expect(await asUser(...WHO)).toContain(userArn);
  expect(await asUser("get", "configmaps")).toContain("Forbidden");
  const policyArn = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
  const scope = "type=namespace,namespaces=default";
  await instance.aws("eks", "associate-access-policy", ...whose, "--policy-arn", policyArn, "--access-scope", scope);
  await until("the policy is in force", async () => (await asUser("get", "configmaps")).includes("kept"));
  expect(await asUser("get", "configmaps", "--namespace", "kube-system")).toContain("Forbidden");
  expect(await asUser("delete", "configmap", "kept")).toContain("Forbidden");
  expect(await asUser("get", "secrets")).toContain("Forbidden");
  await instance.aws("eks", "delete-access-entry", ...whose);
  // The ConfigMap knows the user still.
  await until("the entry is gone", async () => (await asUser(...WHO)) === "reader");
}

/** Of an answer to who has this token. */
async function statusOf(endpoint: string, token: string): Promise<string> {
  const curl = ["curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"];
  return (await run([...curl, "--header", `Authorization: Bearer ${token}`, `${endpoint}/api`], { timeoutMs: 60_000 })).stdout;
}

/** Users of an OIDC provider, while the cluster has it. The API server reaches it at the host, by the name that pods have for it. */
export async function letsInByProvider({ instance, cluster, endpoint }: Within, issuer: OidcIssuer): Promise<void> {
  const who = async (token: string): Promise<string> => {
    const review = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
    const post = ["--request", "POST", "--header", "Content-Type: application/json", "--data", review];
    const curl = ["curl", "--silent", "--show-error", "--insecure", "--header", `Authorization: Bearer ${token}`, ...post];
    return (await run([...curl, `${endpoint}/apis/authentication.k8s.io/v1/selfsubjectreviews`], { timeoutMs: 60_000 })).stdout;
  };
  const good = await issuer.token({ subject: "me", audience: "kubectl", more: { groups: ["devs"] } });
  expect(await statusOf(endpoint, good)).toBe("401");
  const config = ["identityProviderConfigName=idp", `issuerUrl=${issuer.url}`, "clientId=kubectl", "usernamePrefix=oidc:", "groupsClaim=groups"];
  await instance.aws("eks", "associate-identity-provider-config", "--cluster-name", cluster, "--oidc", config.join(","));
  const which = ["--cluster-name", cluster, "--identity-provider-config", "type=oidc,name=idp"];
  await until("the provider is ACTIVE", async () => {
    const shown = await instance.aws<{ readonly identityProviderConfig: { readonly oidc: { readonly status: string } } }>(
      "eks",
      "describe-identity-provider-config",
      ...which,
    );
    return shown.identityProviderConfig.oidc.status === "ACTIVE";
  });
  await until("the API server goes by it", async () => (await statusOf(endpoint, good)) === "200", 120_000);
  expect(await who(good)).toMatch(/"oidc:me"[^]*"devs"/);
  expect(await statusOf(endpoint, await issuer.token({ subject: "me", audience: "other" }))).toBe("401");
  expect(await statusOf(endpoint, await issuer.token({ subject: "me", audience: "kubectl", expires: "-1m" }))).toBe("401");
  await instance.aws("eks", "disassociate-identity-provider-config", ...which);
  await until("its users are nobody", async () => (await statusOf(endpoint, good)) === "401", 120_000);
  const left = await instance.aws<{ readonly identityProviderConfigs: readonly unknown[] }>(
    "eks",
    "list-identity-provider-configs",
    "--cluster-name",
    cluster,
  );
  expect(left.identityProviderConfigs).toEqual([]);
}

/** Tokens as `aws eks get-token` makes them: a good one, and what is made of it. */
export async function refusesBadTokens({ instance, cluster, endpoint, environment }: Within): Promise<void> {
  const tokenOf = async (name: string): Promise<string> => {
    const { stdout } = await run(["aws", "eks", "get-token", "--cluster-name", name, "--output", "json"], { environment });
    return (JSON.parse(stdout) as { readonly status: { readonly token: string } }).status.token;
  };
  const changed = (token: string, change: (url: string) => string): string =>
    `k8s-aws-v1.${Buffer.from(change(Buffer.from(token.slice(11), "base64url").toString())).toString("base64url")}`;
  const good = await tokenOf(cluster);
  expect(await statusOf(endpoint, good)).toBe("200");
  expect(await statusOf(endpoint, await tokenOf("another"))).toBe("401");
  expect(
    await statusOf(
      endpoint,
      changed(good, (url) => url.replace(/Signature=./, (start) => `${start.slice(0, -1)}${start.endsWith("0") ? "1" : "0"}`)),
    ),
  ).toBe("401");
  expect(
    await statusOf(
      endpoint,
      changed(good, (url) => url.replace(/^https?:\/\/[^/]+/, "https://sts.example.com")),
    ),
  ).toBe("401");
  expect(await statusOf(endpoint, await signedAt(instance, { environment, cluster, ageMinutes: 1 }))).toBe("200");
  expect(await statusOf(endpoint, await signedAt(instance, { environment, cluster, ageMinutes: 16 }))).toBe("401");
}

/** A token whose signature holds, made some time ago. */
async function signedAt(
  { port }: TestInstance,
  { environment, cluster, ageMinutes }: Pick<Within, "environment" | "cluster"> & { readonly ageMinutes: number },
): Promise<string> {
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "", AWS_REGION: region = "" } = environment;
  const signer = new SignatureV4({ service: "sts", region, credentials: { accessKeyId, secretAccessKey }, sha256: Sha256 });
  const request = {
    method: "GET",
    protocol: "http:",
    hostname: "localhost",
    port,
    path: "/",
    query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
    headers: { host: `localhost:${port}`, "x-k8s-aws-id": cluster },
  };
  const signingDate = new Date(systemClock.nowMs() - ageMinutes * 60_000);
  const { query = {} } = await signer.presign(request, { expiresIn: 60, signingDate });
  const url = `http://localhost:${port}/?${new URLSearchParams(query as Record<string, string>).toString()}`;
  return `k8s-aws-v1.${Buffer.from(url).toString("base64url")}`;
}

/** What the signer asks of a hash, by Node's own. */
class Sha256 {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = secret === undefined ? undefined : typeof secret === "string" ? secret : Buffer.from(secret as Uint8Array);
    this.#hash = key === undefined ? createHash("sha256") : createHmac("sha256", key);
  }

  update(chunk: string | Uint8Array): void {
    this.#hash.update(chunk);
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {}
}
