import { X509Certificate } from "node:crypto";
import { request } from "node:https";
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import type { JSONWebKeySet } from "jose";
import type { Clock } from "../../core/clock.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import type { IssuerKeys } from "./ports.ts";

const TIMEOUT_MS = 5000;
const KEPT_MS = 5 * 60_000;
/** How soon keys are asked for again for a token that none of them signed. */
const AGAIN_MS = 10_000;
const MAX_BYTES = 256 * 1024;

/** `own`: the keys of issuers of this Tidegate's own, which are nowhere to be fetched. */
export function createIssuerKeys({
  clock,
  own,
}: {
  readonly clock: Clock;
  readonly own: (issuer: string) => Promise<JSONWebKeySet | undefined>;
}): IssuerKeys {
  /** By issuer and thumbprints. */
  const known = new Map<string, { readonly keys: JSONWebKeySet; readonly atMs: number }>();
  return {
    async of(issuer, { thumbprints, keyId }) {
      const ours = await own(issuer);
      if (ours !== undefined) return ours;
      // Who showed them was believed for these thumbprints: another account's provider of the same issuer may have others.
      const of = [issuer, ...thumbprints].join(" ");
      const kept = known.get(of);
      const hasKey = kept?.keys.keys.some(({ kid }) => kid === keyId) ?? false;
      if (kept !== undefined && clock.steadyMs() - kept.atMs < (hasKey ? KEPT_MS : AGAIN_MS)) return kept.keys;
      const keys = await fetchKeys(issuer, thumbprints);
      known.set(of, { keys, atMs: clock.steadyMs() });
      return keys;
    },
  };
}

/** @throws Problem `unavailable` in words for whoever set the provider up. */
async function fetchKeys(issuer: string, thumbprints: readonly string[]): Promise<JSONWebKeySet> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const { issuer: named, jwks_uri: where } = await getJson(url, thumbprints);
  if (named !== issuer) throw new Problem("unavailable", `${url} is of the issuer ${String(named)}, not of ${issuer}`);
  if (typeof where !== "string" || !where.startsWith("https://"))
    throw new Problem("unavailable", `${url} names no jwks_uri that begins with https://`);
  const { keys } = await getJson(where, thumbprints);
  if (!Array.isArray(keys)) throw new Problem("unavailable", `${where} holds no keys`);
  return { keys: keys as JSONWebKeySet["keys"] };
}

function getJson(url: string, thumbprints: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => reject(new Problem("unavailable", `${url} cannot be read: ${why}`, { cause }));
    // The certificate is judged here: a provider's may be of an authority that is known by its thumbprint alone.
    const sent = request(url, {
      agent: false,
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { accept: "application/json" },
    });
    sent.on("socket", (socket) => {
      const secure = socket as TLSSocket;
      secure.once("secureConnect", () => {
        const fault = faultOf(secure, new URL(url).hostname, thumbprints);
        if (fault !== undefined) sent.destroy(new Error(fault));
      });
    });
    sent.on("error", (error) => fail(messageOf(error), error));
    sent.on("response", (response) => {
      if (response.statusCode !== 200) {
        response.destroy();
        return fail(`it answers ${response.statusCode}`);
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BYTES) response.destroy(new Error(`it is larger than ${MAX_BYTES} bytes`));
        chunks.push(chunk);
      });
      response.on("error", (error) => fail(messageOf(error), error));
      response.on("end", () => {
        try {
          const value: unknown = JSON.parse(Buffer.concat(chunks).toString());
          if (typeof value !== "object" || value === null) return fail("it is no JSON object");
          resolve(value as Readonly<Record<string, unknown>>);
        } catch (error) {
          fail("it is no JSON", error);
        }
      });
    });
    sent.end();
  });
}

/** Why a server's certificate is not taken: it must be of an authority that this host trusts, or lead to one of the thumbprints. */
function faultOf(socket: TLSSocket, host: string, thumbprints: readonly string[]): string | undefined {
  if (socket.authorized) return undefined;
  const peer = socket.getPeerCertificate(true);
  const wrongName = checkServerIdentity(host, peer);
  if (wrongName !== undefined) return wrongName.message;
  if (leadsTo(peer, thumbprints)) return undefined;
  return `its certificate is of no authority that is trusted here (${messageOf(socket.authorizationError)}), and none of it has a thumbprint of the provider`;
}

/** Whether the certificate, or one that it was signed under, has one of the thumbprints. */
function leadsTo(peer: DetailedPeerCertificate, thumbprints: readonly string[]): boolean {
  for (let at = peer; ; at = at.issuerCertificate) {
    const certificate = new X509Certificate(at.raw);
    if (thumbprints.includes(certificate.fingerprint.replaceAll(":", "").toLowerCase())) return true;
    const above = at.issuerCertificate as DetailedPeerCertificate | undefined;
    if (above === undefined || above === at || above.fingerprint === at.fingerprint) return false;
    const issuer = new X509Certificate(above.raw);
    // What a server merely sends along proves nothing.
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
  }
}
