import { createHmac } from "node:crypto";

const MAX_KEPT = 2_000;

/** Date, region and service that a signature is good for. */
export interface CredentialScope {
  /** `YYYYMMDD`. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Derives signing keys and keeps the last ones: four HMACs saved at nearly every request. */
export class SigningKeys {
  readonly #kept = new Map<string, Buffer>();

  get(secretAccessKey: string, { date, region, service }: CredentialScope): Buffer {
    const id = `${secretAccessKey}\n${date}\n${region}\n${service}`;
    let key = this.#kept.get(id);
    if (key !== undefined) return key;
    key = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), service), "aws4_request");
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(id, key);
    return key;
  }

  sign(secretAccessKey: string, scope: CredentialScope, stringToSign: string): Buffer {
    return hmac(this.get(secretAccessKey, scope), stringToSign);
  }
}
