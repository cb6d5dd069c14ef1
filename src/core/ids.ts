import { createHash, randomBytes, randomUUID } from "node:crypto";

/** Sources of identifiers, injected so that tests can fix them. */
export interface Ids {
  /** `length` lower-case hex digits, e.g. 32 for a task id, 17 for an EC2 resource. */
  hex(length: number): string;
  /** `length` decimal digits, the first not 0, e.g. 19 for an ECS deployment id. */
  digits(length: number): string;
  uuid(): string;
  /** `length` characters of `[A-Za-z0-9]`. */
  alphanumeric(length: number): string;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

const ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function idsFrom(bytes: (count: number) => Uint8Array, uuid: () => string): Ids {
  const pick = (length: number, alphabet: string): string => Array.from(bytes(length), (byte) => alphabet[byte % alphabet.length]).join("");
  return {
    hex: (length) => pick(length, "0123456789abcdef"),
    digits: (length) => pick(1, "123456789") + pick(length - 1, "0123456789"),
    uuid,
    alphanumeric: (length) => pick(length, ALPHANUMERIC),
    random: () => Buffer.from(bytes(4)).readUInt32BE() / 2 ** 32,
  };
}

/** Cryptographically random identifiers. */
export const randomIds: Ids = idsFrom((count) => randomBytes(count), randomUUID);

/** The same identifiers on every run for the same seed. For tests only. */
export function seededIds(seed: string): Ids {
  let counter = 0;
  const bytes = (count: number): Uint8Array => {
    const chunks: Buffer[] = [];
    for (let have = 0; have < count; have += 32) {
      chunks.push(createHash("sha256").update(`${seed}:${counter++}`).digest());
    }
    return Buffer.concat(chunks).subarray(0, count);
  };
  const uuid = (): string => {
    const hex = Buffer.from(bytes(16)).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  };
  return idsFrom(bytes, uuid);
}
