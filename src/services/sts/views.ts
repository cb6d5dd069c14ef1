import type { Credentials } from "@aws-sdk/client-sts";
import type { IssuedSession } from "./ports.ts";

export function credentialsView(session: IssuedSession): Credentials {
  return {
    AccessKeyId: session.accessKeyId,
    SecretAccessKey: session.secretAccessKey,
    SessionToken: session.sessionToken,
    Expiration: new Date(session.expirationMs),
  };
}
