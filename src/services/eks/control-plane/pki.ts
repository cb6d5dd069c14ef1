// The certificate library resolves its parts through it.
// eslint-disable-next-line import/no-unassigned-import -- it works by being loaded
import "reflect-metadata";
import { createPrivateKey, generateKeyPairSync, type KeyObject, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Ids } from "../../../core/ids.ts";
import type { KeyAndCertificate } from "../records.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60_000;
/** How long an authority is good. */
export const AUTHORITY_DAYS = 3650;
const LEAF_DAYS = 365;
/** Clocks of clients may be a little behind. */
const EARLIER_MS = 5 * 60_000;

export interface Tools {
  readonly nowMs: number;
  readonly ids: Ids;
}

/** What a leaf says. */
export interface LeafSubject {
  readonly commonName: string;
  /** Kubernetes takes it for the user's group. */
  readonly organization?: string;
  readonly usage: "server" | "client";
  readonly addresses?: readonly string[];
  readonly names?: readonly string[];
  /** How long it is good; default a year. */
  readonly days?: number;
}

/** A self-signed authority that may sign leaves, good for ten years. */
export async function createAuthority(commonName: string, { nowMs, ids }: Tools): Promise<KeyAndCertificate> {
  provide();
  const { publicKey, privateKey } = newPair();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(ids),
    name: `CN=${commonName}`,
    ...lifetime(nowMs, AUTHORITY_DAYS),
    signingAlgorithm: ALGORITHM,
    keys: { publicKey: asPublic(publicKey), privateKey: asPrivate(privateKey) },
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
    ],
  });
  return { certificate: certificate.toString("pem"), key: pemOf(privateKey) };
}

/** A certificate of the authority with a new key. */
export async function issueLeaf(authority: KeyAndCertificate, subject: LeafSubject, { nowMs, ids }: Tools): Promise<KeyAndCertificate> {
  provide();
  const { publicKey, privateKey } = newPair();
  const { commonName, organization, usage, addresses = [], names = [], days = LEAF_DAYS } = subject;
  const alternatives = [...addresses.map((value) => ({ type: "ip" as const, value })), ...names.map((value) => ({ type: "dns" as const, value }))];
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([usage === "server" ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth]),
    ...(alternatives.length === 0 ? [] : [new SubjectAlternativeNameExtension(alternatives)]),
  ];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(ids),
    subject: [...(organization === undefined ? [] : [{ O: [organization] }]), { CN: [commonName] }],
    issuer: new X509Certificate(authority.certificate).subject,
    ...lifetime(nowMs, days),
    signingAlgorithm: ALGORITHM,
    publicKey: asPublic(publicKey),
    signingKey: asPrivate(createPrivateKey(authority.key)),
    extensions,
  });
  return { certificate: certificate.toString("pem"), key: pemOf(privateKey) };
}

/** When a leaf that is issued now ends. */
export function leafEndMs(nowMs: number): number {
  return nowMs + LEAF_DAYS * DAY_MS;
}

/** RSA, as AWS's are: what verifies service accounts' tokens elsewhere may know nothing else. PEM. */
export function createServiceAccountKey(): string {
  return pemOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
}

function provide(): void {
  cryptoProvider.set(webcrypto);
}

function newPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function asPublic(key: KeyObject): CryptoKey {
  return key.toCryptoKey(ALGORITHM, true, ["verify"]);
}

function asPrivate(key: KeyObject): CryptoKey {
  return key.toCryptoKey(ALGORITHM, true, ["sign"]);
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}

function lifetime(nowMs: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(nowMs - EARLIER_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** Positive, and 128 random bits. */
function serialNumber(ids: Ids): string {
  return `01${ids.hex(32)}`;
}
