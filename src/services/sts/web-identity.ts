import { AwsError } from "../../core/aws-error.ts";
import { isProblem } from "../../core/problem.ts";
import type { IssuerKeys, OidcProviders } from "./ports.ts";

/** Whom a token of an identity provider names, once it is proven. */
export interface WebIdentity {
  /** Of the account's provider. */
  readonly providerArn: string;
  /** Without `https://`, as condition keys have it. */
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
}

const ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];

interface Verifying {
  readonly account: string;
  readonly nowMs: number;
  readonly providers: OidcProviders;
  readonly keys: IssuerKeys;
}

/**
 * Proves a token by the keys of the account's provider for its issuer: signature, audience, times.
 * @throws AwsError InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError in AWS's words.
 */
export async function verifyWebIdentity(token: string, { account, nowMs, providers, keys }: Verifying): Promise<WebIdentity> {
  // The library is loaded with the first such token.
  const { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } = await import("jose");
  try {
    const { iss, exp } = decodeJwt(token);
    // Not proven yet: whatever somebody has written there.
    const issuer = typeof iss === "string" ? iss : "";
    const provider = issuer.startsWith("https://") ? await providers.oidcProvider(account, issuer) : undefined;
    if (provider === undefined) throw invalidToken(`No OpenIDConnect provider found in your account for ${issuer}`);
    const { kid } = decodeProtectedHeader(token);
    const set = createLocalJWKSet(await keys.of(issuer, { thumbprints: provider.thumbprints, keyId: kid }));
    const options = {
      issuer,
      audience: [...provider.clientIds],
      algorithms: ALGORITHMS,
      currentDate: new Date(nowMs),
      requiredClaims: ["exp", "sub"],
    };
    const { payload } = await jwtVerify(token, set, options).catch((error: unknown) => {
      if (error instanceof errors.JWTExpired) throw expiredToken(nowMs, exp ?? 0);
      if (error instanceof errors.JWKSNoMatchingKey) throw invalidToken(NO_KEY);
      if (error instanceof errors.JWSSignatureVerificationFailed) throw invalidToken("The signature of the ID Token does not hold");
      if (error instanceof errors.JWTClaimValidationFailed && error.claim === "aud") throw invalidToken("Incorrect token audience");
      throw error;
    });
    const audiences = [payload.aud ?? []].flat();
    return { providerArn: provider.arn, issuer: issuer.slice("https://".length), subject: payload.sub ?? "", audiences };
  } catch (error) {
    if (error instanceof errors.JWTClaimValidationFailed) throw invalidToken(`The ID Token is not valid: ${error.message}`);
    if (error instanceof errors.JOSEError) throw invalidToken(NO_JWT);
    if (isProblem(error, "unavailable"))
      throw new AwsError("IDPCommunicationError", `Couldn't retrieve verification key from your identity provider: ${error.message}`);
    throw error;
  }
}

const NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
const NO_KEY =
  "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements";

function invalidToken(message: string): AwsError {
  return new AwsError("InvalidIdentityToken", message);
}

function expiredToken(nowMs: number, exp: number): AwsError {
  const [now, end] = [nowMs, exp * 1000].map((ms) => new Date(ms).toISOString());
  return new AwsError("ExpiredTokenException", `Token expired: current date/time ${now} must be before the expiration date/time ${end}`);
}
