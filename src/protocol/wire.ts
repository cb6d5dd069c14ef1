/** A request as a protocol sees it; no HTTP library in it. */
export interface WireRequest {
  readonly method: string;
  /** Without the query string, as sent. */
  readonly path: string;
  /** Without the question mark, as sent; may be empty. */
  readonly query: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

/** An answer, whole. */
export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const UTF8 = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** The body as text. */
export function bodyText(request: WireRequest): string {
  return request.body.byteLength === 0 ? "" : UTF8.decode(request.body);
}
