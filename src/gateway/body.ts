import type { IncomingMessage } from "node:http";
import { AwsError } from "../core/aws-error.ts";

/**
 * Reads a whole body into memory.
 * @throws AwsError `RequestEntityTooLargeException` (413) beyond `maxBytes`; the rest is not read, so the connection must be closed.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (announced === 0 && request.headers["transfer-encoding"] === undefined) return new Uint8Array();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): AwsError {
  return new AwsError("RequestEntityTooLargeException", `The request's body is larger than ${maxBytes} bytes.`, { httpStatus: 413 });
}
