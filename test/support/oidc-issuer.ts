import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { exportJWK, type JSONWebKeySet, SignJWT } from "jose";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { createAuthority, issueLeaf } from "../../src/services/eks/control-plane/pki.ts";

/** A small identity provider by HTTPS, on all addresses of this host, with a certificate of an authority of its own. */
export interface OidcIssuer extends Disposable {
  readonly url: string;
  readonly port: number;
  /** PEM. */
  readonly authority: string;
  /** Its SHA-1, in lower-case hex. */
  readonly thumbprint: string;
  token(claims: TokenClaims): Promise<string>;
}

export interface TokenClaims {
  readonly subject: string;
  readonly audience: string;
  readonly issuer?: string;
  /** e.g. `1h`. */
  readonly expires?: string;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly key?: KeyObject;
  readonly keyId?: string;
}

/** A key pair that signs tokens, with its public part as an issuer shows it. */
export async function signingKey(): Promise<{ readonly key: KeyObject; readonly keys: JSONWebKeySet }> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { key: privateKey, keys: { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: "RS256", use: "sig" }] } };
}

export function signToken({
  key,
  keyId = "one",
  issuer = "",
  subject,
  audience,
  expires = "1h",
  more = {},
}: TokenClaims & { readonly key: KeyObject }): Promise<string> {
  const claims = new SignJWT({ ...more }).setProtectedHeader({ alg: "RS256", kid: keyId });
  return claims.setIssuer(issuer).setSubject(subject).setAudience([audience]).setIssuedAt("-2h").setExpirationTime(expires).sign(key);
}

/** `host`: the name by which its clients reach it. */
export async function startIssuer(host: string): Promise<OidcIssuer> {
  const tools = { nowMs: systemClock.nowMs(), ids: randomIds };
  const authority = await createAuthority("issuer", tools);
  const leaf = await issueLeaf(authority, { commonName: "issuer", usage: "server", names: [host] }, tools);
  const { key, keys } = await signingKey();
  let url = "";
  const server = createServer({ key: leaf.key, cert: `${leaf.certificate}\n${authority.certificate}` }, (request, response) => {
    const answers: Readonly<Record<string, unknown>> = {
      "/.well-known/openid-configuration": {
        issuer: url,
        jwks_uri: `${url}/jwks`,
        authorization_endpoint: `${url}/authorize`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
      },
      "/jwks": keys,
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answers[request.url ?? ""] ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const { port } = server.address() as AddressInfo;
  url = `https://${host}:${port}`;
  return {
    url,
    port,
    authority: authority.certificate,
    thumbprint: new X509Certificate(authority.certificate).fingerprint.replaceAll(":", "").toLowerCase(),
    token: (claims) => signToken({ key, issuer: url, ...claims }),
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
