import { expect } from "vitest";
import { until } from "../../support/instance.ts";
import { sdkFiles, WHO_AM_I_COMMAND } from "../../support/sdk-image.ts";
import { ecrLogin, pushTiny } from "../../support/stack.ts";
import type { PodsCluster } from "./pods-cluster.ts";

/** Pods whose service accounts stand for IAM roles, by the unmodified SDK inside of them. */

const ACCOUNT_ROLE = /^arn:aws:sts::\d{12}:assumed-role\//;

interface Document {
  readonly keys: readonly { readonly kid: string }[];
}

/** IAM roles for service accounts: who is trusted gets the role's session; who is not, and who has no role, gets nothing. */
export async function standsForRoles(cluster: PodsCluster): Promise<void> {
  const { instance, apply, kubectl } = cluster;
  const shown = await instance.aws<{ readonly cluster: { readonly identity: { readonly oidc: { readonly issuer: string } } } }>(
    "eks",
    "describe-cluster",
    "--name",
    "shop",
  );
  const { issuer } = shown.cluster.identity.oidc;
  const path = new URL(issuer).pathname;
  const discovery = (await (await fetch(`${instance.endpoint}${path}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;
  expect(discovery).toMatchObject({ issuer, jwks_uri: `${issuer}/keys` });

  const made = ["iam", "create-open-id-connect-provider", "--url", issuer, "--client-id-list", "sts.amazonaws.com"];
  const provider = await instance.aws<{ readonly OpenIDConnectProviderArn: string }>(...made, "--thumbprint-list", "0".repeat(40));
  const name = issuer.slice("https://".length);
  const role = await makeRole(cluster, "pods", {
    Principal: { Federated: provider.OpenIDConnectProviderArn },
    Action: "sts:AssumeRoleWithWebIdentity",
    Condition: { StringEquals: { [`${name}:sub`]: "system:serviceaccount:default:trusted", [`${name}:aud`]: "sts.amazonaws.com" } },
  });
  await associate(cluster, "associated");
  const image = await pushSdkImage(cluster);
  const annotations = { "eks.amazonaws.com/role-arn": role };
  await apply(account("trusted", annotations), account("other", annotations), account("associated", {}));
  const names = ["trusted", "other", "associated", "default"];
  await apply(...names.map((serviceAccount) => whoAmI(`who-${serviceAccount}`, { image, serviceAccount })));
  expect(await answerOf(cluster, "who-trusted")).toMatch(new RegExp(`${ACCOUNT_ROLE.source}pods/\\S+$`));
  expect(await answerOf(cluster, "who-other")).toContain("Not authorized to perform sts:AssumeRoleWithWebIdentity");
  expect(await answerOf(cluster, "who-associated")).toMatch(new RegExp(`${ACCOUNT_ROLE.source}associated/eks-shop-who-\\S+$`));
  expect(await answerOf(cluster, "who-default")).toContain("CredentialsProviderError");
  const { keys } = (await (await fetch(`${instance.endpoint}${path}/keys`)).json()) as Document;
  const token = await cluster.inPod("who-trusted", "cat", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token");
  expect(JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString())).toMatchObject({ kid: keys[0]?.kid });
  await asksEksAuth(cluster);
  await kubectl("delete", "pod", ...names.map((each) => `who-${each}`));
}

/** EKS Pod Identity: by an association, without a word in the service account. The role has the same name. */
async function associate(cluster: PodsCluster, serviceAccount: string): Promise<void> {
  const { instance, kubectl } = cluster;
  const service = { Principal: { Service: "pods.eks.amazonaws.com" }, Action: ["sts:AssumeRole", "sts:TagSession"] };
  const role = await makeRole(cluster, serviceAccount, service);
  const whose = ["--cluster-name", "shop", "--namespace", "default", "--service-account", serviceAccount];
  await instance.aws("eks", "create-pod-identity-association", ...whose, "--role-arn", role);
  await until("the API server knows the association", async () =>
    (await kubectl("get", "mutatingadmissionpolicies", "pod-identity-webhook.amazonaws.com", "--output", "json")).includes(
      `default/${serviceAccount}`,
    ),
  );
}

/** As the agent of Pod Identity does on AWS, with the token of a pod. */
async function asksEksAuth({ instance, inPod }: PodsCluster): Promise<void> {
  const token = (await inPod("who-associated", "cat", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token")).trim();
  const assume = ["assume-role-for-pod-identity", "--cluster-name", "shop", "--token"];
  const answer = await instance.aws<{ readonly credentials: { readonly accessKeyId: string } }>("eks-auth", ...assume, token);
  expect(answer).toMatchObject({
    subject: { namespace: "default", serviceAccount: "associated" },
    assumedRoleUser: { arn: expect.stringMatching(new RegExp(`${ACCOUNT_ROLE.source}associated/`)) as string },
    credentials: { accessKeyId: expect.stringMatching(/^ASIA/) as string },
  });
  await expect(instance.aws("eks-auth", ...assume, `${token.slice(0, -8)}AAAAAAAA`)).rejects.toThrow("InvalidTokenException");
}

async function makeRole({ instance }: PodsCluster, name: string, statement: object): Promise<string> {
  const trust = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] });
  const made = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document", trust];
  return (await instance.aws<{ readonly Role: { readonly Arn: string } }>(...made)).Role.Arn;
}

async function pushSdkImage({ stack, instance }: PodsCluster): Promise<string> {
  const image = `localhost:${instance.port}/tiny:sdk`;
  await pushTiny(image, await ecrLogin(stack.ecr), { files: await sdkFiles() });
  return image;
}

const account = (name: string, annotations: Readonly<Record<string, string>>): object => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name, annotations },
});

/** It asks once, keeps what it was told, and waits. */
function whoAmI(name: string, { image, serviceAccount }: { readonly image: string; readonly serviceAccount: string }): object {
  const command = ["sh", "-c", `(${WHO_AM_I_COMMAND}) > /tmp/told 2>&1; touch /tmp/done; sleep 3600`];
  // Who has no role is not told the region either.
  const env = [{ name: "AWS_REGION", value: "us-east-1" }];
  const spec = { serviceAccountName: serviceAccount, terminationGracePeriodSeconds: 1, containers: [{ name: "app", image, command, env }] };
  return { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
}

function answerOf({ inPod }: PodsCluster, pod: string): Promise<string> {
  return until(
    `the pod ${pod} has asked who it is`,
    async () => {
      await inPod(pod, "ls", "/tmp/done");
      return (await inPod(pod, "cat", "/tmp/told")).trim();
    },
    240_000,
  );
}
